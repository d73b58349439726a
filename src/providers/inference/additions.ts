import { encodeJson, editObject, type Edits } from '../../wire/json-edit.ts'
import { topMembersOf } from '../../wire/json-outline.ts'
import type { OperationName } from '../../operations/index.ts'
import type { ModelRequest } from '../provider.ts'

type AdditionRequest = ModelRequest<object>
type RequestFieldValues = Readonly<Record<string, unknown>>

/**
 * A field of a request that the caller did not choose and the upstream may refuse: one that Corral adds, or a default of the caller's SDK that Corral
 * can replace. Where the upstream refuses it by name, the request is sent again with `withdrawn` (`refused-additions.ts`).
 */
export interface Addition {
  /** The top-level field: the name in logs and traces. */
  readonly field: string
  /** Whether a refusal holds for later requests to the same model. False where it depends on the rest of the request. */
  readonly remember: boolean
  /** The edits of one request; undefined where it needs none. Called for every request: cheap. */
  plan(request: AdditionRequest, operation: OperationName): PlannedAddition | undefined
}

export interface PlannedAddition {
  /** Matches an error text that names what was added. */
  readonly mentionPattern: RegExp
  /** Top-level edits of the request as it is sent first. */
  readonly applied: Edits
  /** Top-level edits of the request as it is sent after a refusal. */
  readonly withdrawn: Edits
}

const encoder = new TextEncoder()
const noEdits: Edits = new Map()
const streamOptionsKey = encoder.encode('stream_options')
const includeUsage: Edits = new Map([['include_usage', encoder.encode('true')]])
const optionsWithUsage: Edits = new Map([['stream_options', encoder.encode('{"include_usage":true}')]])
const withoutOptions: Edits = new Map([['stream_options', undefined]])
const withoutEncoding: Edits = new Map([['encoding_format', undefined]])

/** In messages a field is also spelled `streamOptions` or "stream options". */
const streamOptionsPattern = /(?<![a-z])(?:stream[_ -]?options|include[_ -]?usage)(?![a-z])/i
const includeUsagePattern = /(?<![a-z])include[_ -]?usage(?![a-z])/i
const encodingPattern = /(?<![a-z])(?:encoding[_ -]?format|base[_ -]?64)(?![a-z])/i
/** Older versions of vLLM name the context and the share of "the completion", not the field. */
const maxTokensPattern = /(?<![a-z])(?:max[_ -]?(?:completion[_ -]?)?tokens|context[_ -]?(?:length|window))(?![a-z])/i

/** Requests usage in every stream: without it the tokens of a stream can only be estimated. */
export const usageInStreams: Addition = {
  field: 'stream_options',
  remember: true,
  plan(request, operation) {
    if (operation !== 'chat' && operation !== 'completions') return undefined
    const { stream, stream_options: options } = request.body as { stream?: unknown; stream_options?: { include_usage?: unknown } | null }
    if (stream !== true || options?.include_usage === true) return undefined
    // A null of the caller's has the meaning of an absent field, and is removed with the addition.
    if (!options)
      return { mentionPattern: streamOptionsPattern, applied: optionsWithUsage, withdrawn: options === null ? withoutOptions : noEdits }
    // The caller sent the field itself: only the member that is added can be withdrawn.
    return { mentionPattern: includeUsagePattern, applied: withUsage(request), withdrawn: noEdits }
  },
}

/**
 * OpenAI's SDKs send `encoding_format: "base64"` unless the application sets another. An upstream that refuses it is sent no encoding and returns its default, floats,
 * which Corral encodes (`relay-reply.ts`).
 */
export const base64Embeddings: Addition = {
  field: 'encoding_format',
  remember: true,
  plan({ body }, operation) {
    if (operation !== 'embeddings' || (body as RequestFieldValues)['encoding_format'] !== 'base64') return undefined
    return { mentionPattern: encodingPattern, applied: noEdits, withdrawn: withoutEncoding }
  },
}

/** `max_tokens` of a chat request that sets no limit of its own. Whether the value fits depends on the length of the prompt. */
export function defaultMaxTokens(tokens: number): Addition {
  const applied: Edits = new Map([['max_tokens', encodeJson(tokens)]])
  return {
    field: 'max_tokens',
    remember: false,
    plan({ body }, operation) {
      const { max_tokens: older, max_completion_tokens: newer } = body as RequestFieldValues
      if (operation !== 'chat' || (older ?? newer ?? undefined) !== undefined) return undefined
      return { mentionPattern: maxTokensPattern, applied, withdrawn: noEdits }
    },
  }
}

/** The caller's own options, with usage requested. */
function withUsage({ bytes, members = topMembersOf(bytes) }: AdditionRequest): Edits {
  const member = members.find(bytes, streamOptionsKey)
  if (member < 0) return optionsWithUsage
  const options = bytes.subarray(members.valueStart(member), members.valueEnd(member))
  return new Map([['stream_options', editObject(options, includeUsage)]])
}
