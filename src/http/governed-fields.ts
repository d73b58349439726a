import { type ApiError, invalidRequest, shortened } from '../errors.ts'
import { choiceCountFields, maxTokenFields } from '../quota/output-fields.ts'
import type { Members } from '../wire/json-scan.ts'
import { decodeText } from '../wire/decode-text.ts'

/**
 * The top-level fields that policy, reservation, pricing and relaying decide by, those with which vendors choose further models included.
 * What is judged must be what the upstream reads: so each may stand once, and in no other spelling.
 */
export const governedFields: readonly string[] = [
  'model',
  'model_id',
  'models',
  'fallbacks',
  'route',
  'preset',
  'compound_custom',
  'draft_model',
  'plugins',
  'context_window_fallbacks',
  'content_policy_fallbacks',
  'context_window_fallback_dict',
  'messages',
  'prompt',
  'input',
  'query',
  'items',
  'documents',
  'tools',
  'functions',
  ...choiceCountFields,
  ...maxTokenFields,
  'max_num_results',
  'top_n',
  'stream',
  'stream_options',
  'encoding_format',
]

/**
 * One form for all that some JSON reader takes for the same name. Go's encoding/json ignores case by Unicode's folding (`ſ` is s, `K` is k);
 * its second version, if told to, and readers of protobuf's JSON take `maxTokens` for `max_tokens` as well. Both ways of folding are gone,
 * so that the form is the widest that there is.
 */
function folded(key: string): string {
  return key
    .toUpperCase()
    .toLowerCase()
    .replaceAll(/[_-]|\u0307/g, '')
}

const exact: ReadonlySet<string> = new Set(governedFields)

const byFolded: ReadonlyMap<string, string> = new Map(governedFields.map((name) => [folded(name), name]))

/** By byte: an ASCII letter or digit with which no spelling of a governed field begins. */
const cannotBegin: Uint8Array = Uint8Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte)
  return /^[a-z0-9]$/i.test(character) && !governedFields.some((name) => name.startsWith(character.toLowerCase())) ? 1 : 0
})

/**
 * Refuses an object in which a governed field stands twice or, by any reader's lights, under another spelling. `members`: where its own members
 * stand in the valid JSON `bytes`. Throws ApiError 400.
 */
export function rejectAmbiguousFields(bytes: Uint8Array, members: Members): void {
  const seen: string[] = []
  for (let member = 0; member < members.count; member++) {
    const start = members.at[member * 4] as number
    const end = members.at[member * 4 + 1] as number
    if (end === start || cannotBegin[bytes[start] as number] === 1) continue
    const key = decoded(bytes, start, end)
    if (exact.has(key)) {
      if (seen.includes(key)) throw ambiguous(key, `Duplicate field '${key}' in the request body.`)
      seen.push(key)
      continue
    }
    const meant = byFolded.get(folded(key))
    if (meant !== undefined) {
      throw ambiguous(
        meant,
        `The field '${shortened(key)}' is ambiguous: it can be read as '${meant}'. Use exactly '${meant}', or remove it.`,
      )
    }
  }
}

/** The governed field whose name stands there in valid JSON, quotes left out; undefined for every other name. */
export function governedFieldAt(bytes: Uint8Array, start: number, end: number): string | undefined {
  if (cannotBegin[bytes[start] as number] === 1) return undefined
  const name = decoded(bytes, start, end)
  return exact.has(name) ? name : undefined
}

/** What the string says that stands there in valid JSON, quotes left out. */
export function decoded(bytes: Uint8Array, start: number, end: number): string {
  const text = decodeText(bytes, start, end)
  return text.includes('\\') ? (JSON.parse(`"${text}"`) as string) : text
}

function ambiguous(param: string, message: string): ApiError {
  return invalidRequest(message, { code: 'ambiguous_field', param })
}
