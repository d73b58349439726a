import type { InferenceFacts } from './governance.ts'
import { answerFields, mostFields } from './output-fields.ts'
import type { MostTokens } from './prices-rates.ts'

export interface EstimateOptions {
  /** Output tokens reserved for a request that does not say how many it wants. */
  readonly defaultMaxTokens: number
  /** Bytes of text for one input token; 1: what no tokenizer exceeds. */
  readonly inputBytesPerToken: number
}

/** The input of an estimate: the parsed `body`, and its length in `bytes`. */
export type Asked = Pick<InferenceFacts, 'capability' | 'body' | 'bytes'>
type Fields = Readonly<Record<string, unknown>>

/** Tokens that templates put around each message, and around the whole. */
const perMessage = 8
const perRequest = 8
/** Characters of a role that `perMessage` covers. A longer one counts as text: templates write roles into the prompt. */
const maxRoleLength = 32
/** What vendors write before the tools, beside their definitions. */
const perTools = 512
/** Images, and what is only named by a URL or an id: how large it is cannot be told from the request. */
const perImage = 2_048
const perUnseenPart = 4_096
/** Characters of base64 for one token: of speech at 16 kbit/s and 32 tokens a second, of a packed document. */
const audioCharactersPerToken = 64
const fileCharactersPerToken = 4

/** Bytes for one token in usual text: for what was used and not told. */
const usualBytesPerToken = 4

/**
 * The most tokens that a request may take. Input: one for each `inputBytesPerToken` bytes of its text, and of the whole body where that holds
 * more than text (tools, response formats, fields nobody knows); a constant for each image; sound and files by their size. Output:
 * the largest of `mostFields`, else `defaultMaxTokens`, for each answer asked for; none of embeddings and rerankings.
 */
export function mostTokens(asked: Asked, options: EstimateOptions): MostTokens {
  const { text, extra, tokens } = measure(asked)
  return { input: Math.ceil(text / options.inputBytesPerToken) + extra + tokens, output: mostOutput(asked, options.defaultMaxTokens) }
}

/** The likely input tokens of a request whose provider did not say: a token for four bytes. */
export function likelyInput(asked: Asked): number {
  const { text, extra, tokens } = measure(asked)
  return Math.ceil(text / usualBytesPerToken) + Math.ceil(extra / 2) + tokens
}

/** The likely output tokens of a stream that reports none: one for each frame with content, or for four bytes of text, whichever is more. */
export function likelyOutput(frames: number, textBytes: number): number {
  return Math.max(1, frames, Math.ceil(textBytes / usualBytesPerToken))
}

/** Whether the request leaves it open how much it wants. */
export function namesNoMost(asked: Asked): boolean {
  return writesText(asked.capability) && namedMost(asked.body as Fields).leavesOpen
}

/** Embeddings and rerankings have no output tokens. */
export function writesText(capability: string): boolean {
  return capability !== 'embeddings' && capability !== 'rerank'
}

/** More than any answer has: what callers write in a request may be any number. */
const mostCounted = 1e12

function mostOutput(asked: Asked, defaultMaxTokens: number): number {
  if (!writesText(asked.capability)) return 0
  const body = asked.body as Fields
  let answers = 1
  for (const field of answerFields) answers = Math.max(answers, positive(body[field]) ?? 1)
  const { most, leavesOpen } = namedMost(body)
  return Math.min((leavesOpen ? Math.max(most, defaultMaxTokens) : most) * answers * promptCount(body), mostCounted)
}

/** `leavesOpen`: some field says nothing that is a limit to every provider. None at all, or fewer, means to some that there is none. */
function namedMost(body: Fields): { most: number; leavesOpen: boolean } {
  let most = 0
  let leavesOpen = false
  for (const field of mostFields) {
    const value = body[field]
    if (value === undefined || value === null) continue
    const named = positive(value)
    if (named === undefined) leavesOpen = true
    else if (named > most) most = named
  }
  return { most, leavesOpen: leavesOpen || most === 0 }
}

/** Also of a text, which some readers take for the number that it says. */
function positive(value: unknown): number | undefined {
  const number = typeof value === 'string' ? Number(value) : value
  return typeof number === 'number' && number > 0 ? Math.min(Math.ceil(number), mostCounted) : undefined
}

/** Text completions: how many prompts are to be continued. */
export function promptCount({ prompt }: { readonly prompt?: unknown }): number {
  return Array.isArray(prompt) && typeof prompt[0] !== 'number' ? Math.max(1, prompt.length) : 1
}

interface Measure {
  /** Bytes of text. */
  text: number
  /** Tokens of all that is no text. */
  extra: number
  /** Tokens that were sent as such. */
  tokens: number
  /** Characters of the body that are neither: images and sound in base64. */
  packed: number
  /** Something is in there whose text was not measured. */
  unsure: boolean
}

/** Fields of a request that no model reads. */
const unread = new Set<string>([
  ...mostFields,
  ...answerFields,
  'model',
  'messages',
  'prompt',
  'input',
  'stream',
  'stream_options',
  'temperature',
  'top_p',
  'top_k',
  'min_p',
  'stop',
  'seed',
  'frequency_penalty',
  'presence_penalty',
  'repetition_penalty',
  'logit_bias',
  'logprobs',
  'top_logprobs',
  'reasoning_effort',
  'verbosity',
  'user',
  'metadata',
  'store',
  'service_tier',
  'safety_identifier',
  'prompt_cache_key',
  'prompt_cache_retention',
  'parallel_tool_calls',
  'modalities',
  'audio',
  'encoding_format',
  'dimensions',
])

function measure({ body, bytes }: Asked): Measure {
  const measured: Measure = { text: 0, extra: perRequest, tokens: 0, packed: 0, unsure: false }
  if (typeof body !== 'object' || body === null) {
    measured.text = bytes
    return measured
  }
  const fields = body as Fields
  for (const name in fields) if (!unread.has(name) && fields[name] !== undefined && fields[name] !== null) measured.unsure = true
  if (Array.isArray(fields['tools']) || Array.isArray(fields['functions'])) measured.extra += perTools
  const { messages, prompt, input } = fields
  if (Array.isArray(messages)) for (const message of messages as unknown[]) measureMessage(message, measured)
  else if ((prompt ?? input ?? undefined) === undefined) measured.unsure = true
  measureTexts(prompt, measured)
  measureTexts(input, measured)
  if (measured.unsure) measured.text = Math.max(measured.text, bytes - measured.packed)
  measured.text += repeated(fields)
  return measured
}

/** Nothing, a text, or a list of tokens; or a list of these, each of which is a request of its own to the model. */
function measureTexts(value: unknown, measured: Measure): void {
  if (value === undefined || value === null) return
  if (typeof value === 'string') measured.text += Buffer.byteLength(value)
  else if (isTokens(value)) measured.tokens += value.length
  else if (!Array.isArray(value)) measured.unsure = true
  else {
    measured.extra += perRequest * Math.max(0, value.length - 1)
    for (const one of value as unknown[]) {
      if (typeof one === 'string') measured.text += Buffer.byteLength(one)
      else if (isTokens(one)) measured.tokens += one.length
      else measured.unsure = true
    }
  }
}

function isTokens(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === 'number')
}

/** A reranker reads the query again with each document. */
function repeated({ query, items }: Fields): number {
  return typeof query === 'string' && Array.isArray(items) ? Buffer.byteLength(query) * Math.max(0, items.length - 1) : 0
}

function measureMessage(item: unknown, measured: Measure): void {
  measured.extra += perMessage
  if (typeof item !== 'object' || item === null) {
    measured.unsure = true
    return
  }
  const message = item as Fields
  for (const name in message) {
    const value = message[name]
    if (value === null || value === undefined || (name === 'role' && typeof value === 'string' && value.length <= maxRoleLength)) continue
    if (typeof value === 'string') measured.text += Buffer.byteLength(value)
    else if (name === 'content' && Array.isArray(value)) for (const part of value) measurePart(part as Fields, measured)
    else measured.unsure = true
  }
}

function measurePart(part: Fields, measured: Measure): void {
  if (typeof part !== 'object' || part === null) {
    measured.unsure = true
    return
  }
  // Whatever stands beside may be what the upstream reads, as `Text` is to one that does not heed case.
  for (const name in part) if (name !== 'type' && name !== part['type']) measured.unsure = true
  if (part['type'] === 'text' && typeof part['text'] === 'string') measured.text += Buffer.byteLength(part['text'])
  else if (part['type'] === 'image_url') measurePacked(part['image_url'], 'url', measured, () => perImage)
  else if (part['type'] === 'input_audio')
    measurePacked(part['input_audio'], 'data', measured, (length) => Math.max(perUnseenPart, length / audioCharactersPerToken))
  else if (part['type'] === 'file')
    measurePacked(part['file'], 'file_data', measured, (length) => Math.max(perUnseenPart, length / fileCharactersPerToken))
  else measured.unsure = true
}

/** What may stand beside packed data, and is no text to read. */
const besideData = new Set(['detail', 'format', 'file_id'])

function measurePacked(holder: unknown, name: string, measured: Measure, tokensOf: (length: number) => number): void {
  const isHolder = typeof holder === 'object' && holder !== null
  if (isHolder) for (const other in holder) if (!besideData.has(other) && other !== name) measured.unsure = true
  // Some vendors have the URL or the data itself in its place.
  const data = isHolder ? (holder as Fields)[name] : holder
  const length = typeof data === 'string' ? data.length : 0
  measured.packed += length
  measured.extra += Math.ceil(tokensOf(length))
}
