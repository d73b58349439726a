import type { InferenceFacts } from './governance.ts'
import { choiceCountFields, maxTokenFields } from './output-fields.ts'
import type { MaxTokens } from './prices-rates.ts'

export interface EstimateOptions {
  /** Output tokens reserved for a request that does not say how many it wants. */
  readonly defaultMaxTokens: number
  /** Bytes of text for one input token; 1: what no tokenizer exceeds. */
  readonly inputBytesPerToken: number
}

/** The input of an estimate: the parsed `body`, and its length in `bytes`. */
export type EstimateInput = Pick<InferenceFacts, 'capability' | 'body' | 'bytes'>
type BodyFields = Readonly<Record<string, unknown>>

/** Tokens that templates put around each message, and around the whole. */
const perMessage = 8
const perRequest = 8
/** Characters of a role that `perMessage` covers. A longer one counts as text: templates write roles into the prompt. */
const maxRoleLength = 32
/** What vendors write before the tools, beside their definitions. */
const perTools = 512
/** Images, and what is only named by a URL or an id: how large it is cannot be told from the request. */
const perImage = 2_048
const perReferencedPart = 4_096
/** Characters of base64 for one token: of speech at 16 kbit/s and 32 tokens a second, of a packed document. */
const audioCharactersPerToken = 64
const fileCharactersPerToken = 4

/** Bytes for one token in usual text: for what was used and not told. */
const defaultBytesPerToken = 4

/**
 * The most tokens that a request may take. Input: one for each `inputBytesPerToken` bytes of its text, and of the whole body where that holds
 * more than text (tools, response formats, fields nobody knows); a constant for each image; sound and files by their size. Output:
 * the largest of `mostFields`, else `defaultMaxTokens`, for each answer asked for; none of embeddings and rerankings.
 */
export function maxTokensOf(input: EstimateInput, options: EstimateOptions): MaxTokens {
  const { text, extra, tokens } = measure(input)
  return { input: Math.ceil(text / options.inputBytesPerToken) + extra + tokens, output: maxOutput(input, options.defaultMaxTokens) }
}

/** The likely input tokens of a request whose provider did not say: a token for four bytes. */
export function likelyInput(input: EstimateInput): number {
  const { text, extra, tokens } = measure(input)
  return Math.ceil(text / defaultBytesPerToken) + Math.ceil(extra / 2) + tokens
}

/** The likely output tokens of a stream that reports none: one for each frame with content, or for four bytes of text, whichever is more. */
export function likelyOutput(frames: number, textBytes: number): number {
  return Math.max(1, frames, Math.ceil(textBytes / defaultBytesPerToken))
}

/** Whether the request leaves it open how much it wants. */
export function omitsMaxTokens(input: EstimateInput): boolean {
  return producesText(input.capability) && statedMaxTokens(input.body as BodyFields).isOpenEnded
}

/** Embeddings and rerankings have no output tokens. */
export function producesText(capability: string): boolean {
  return capability !== 'embeddings' && capability !== 'rerank'
}

/** More than any answer has: what callers write in a request may be any number. */
const maxCountedTokens = 1e12

function maxOutput(input: EstimateInput, defaultMaxTokens: number): number {
  if (!producesText(input.capability)) return 0
  const body = input.body as BodyFields
  let choices = 1
  for (const field of choiceCountFields) choices = Math.max(choices, positive(body[field]) ?? 1)
  const { max, isOpenEnded } = statedMaxTokens(body)
  return Math.min((isOpenEnded ? Math.max(max, defaultMaxTokens) : max) * choices * promptCount(body), maxCountedTokens)
}

/** `leavesOpen`: some field says nothing that is a limit to every provider. None at all, or fewer, means to some that there is none. */
function statedMaxTokens(body: BodyFields): { max: number; isOpenEnded: boolean } {
  let max = 0
  let isOpenEnded = false
  for (const field of maxTokenFields) {
    const value = body[field]
    if (value === undefined || value === null) continue
    const limit = positive(value)
    if (limit === undefined) isOpenEnded = true
    else if (limit > max) max = limit
  }
  return { max, isOpenEnded: isOpenEnded || max === 0 }
}

/** Also of a text, which some readers take for the number that it says. */
function positive(value: unknown): number | undefined {
  const number = typeof value === 'string' ? Number(value) : value
  return typeof number === 'number' && number > 0 ? Math.min(Math.ceil(number), maxCountedTokens) : undefined
}

/** Text completions: how many prompts are to be continued. */
export function promptCount({ prompt }: { readonly prompt?: unknown }): number {
  return Array.isArray(prompt) && typeof prompt[0] !== 'number' ? Math.max(1, prompt.length) : 1
}

interface Measurement {
  /** Bytes of text. */
  text: number
  /** Tokens of all that is no text. */
  extra: number
  /** Tokens that were sent as such. */
  tokens: number
  /** Characters of the body that are neither: images and sound in base64. */
  encoded: number
  /** Something is in there whose text was not measured. */
  hasUnmeasured: boolean
}

/** Fields of a request that no model reads. */
const notReadByModels = new Set<string>([
  ...maxTokenFields,
  ...choiceCountFields,
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

function measure({ body, bytes }: EstimateInput): Measurement {
  const measured: Measurement = { text: 0, extra: perRequest, tokens: 0, encoded: 0, hasUnmeasured: false }
  if (typeof body !== 'object' || body === null) {
    measured.text = bytes
    return measured
  }
  const fields = body as BodyFields
  for (const name in fields)
    if (!notReadByModels.has(name) && fields[name] !== undefined && fields[name] !== null) measured.hasUnmeasured = true
  if (Array.isArray(fields['tools']) || Array.isArray(fields['functions'])) measured.extra += perTools
  const { messages, prompt, input } = fields
  if (Array.isArray(messages)) for (const message of messages as unknown[]) measureMessage(message, measured)
  else if ((prompt ?? input ?? undefined) === undefined) measured.hasUnmeasured = true
  measureTexts(prompt, measured)
  measureTexts(input, measured)
  if (measured.hasUnmeasured) measured.text = Math.max(measured.text, bytes - measured.encoded)
  measured.text += repeated(fields)
  return measured
}

/** Nothing, a text, or a list of tokens; or a list of these, each of which is a request of its own to the model. */
function measureTexts(value: unknown, measured: Measurement): void {
  if (value === undefined || value === null) return
  if (typeof value === 'string') measured.text += Buffer.byteLength(value)
  else if (isTokens(value)) measured.tokens += value.length
  else if (!Array.isArray(value)) measured.hasUnmeasured = true
  else {
    measured.extra += perRequest * Math.max(0, value.length - 1)
    for (const one of value as unknown[]) {
      if (typeof one === 'string') measured.text += Buffer.byteLength(one)
      else if (isTokens(one)) measured.tokens += one.length
      else measured.hasUnmeasured = true
    }
  }
}

function isTokens(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === 'number')
}

/** A reranker reads the query again with each document. */
function repeated({ query, items }: BodyFields): number {
  return typeof query === 'string' && Array.isArray(items) ? Buffer.byteLength(query) * Math.max(0, items.length - 1) : 0
}

function measureMessage(item: unknown, measured: Measurement): void {
  measured.extra += perMessage
  if (typeof item !== 'object' || item === null) {
    measured.hasUnmeasured = true
    return
  }
  const message = item as BodyFields
  for (const name in message) {
    const value = message[name]
    if (value === null || value === undefined || (name === 'role' && typeof value === 'string' && value.length <= maxRoleLength)) continue
    if (typeof value === 'string') measured.text += Buffer.byteLength(value)
    else if (name === 'content' && Array.isArray(value)) for (const part of value) measurePart(part as BodyFields, measured)
    else measured.hasUnmeasured = true
  }
}

function measurePart(part: BodyFields, measured: Measurement): void {
  if (typeof part !== 'object' || part === null) {
    measured.hasUnmeasured = true
    return
  }
  // Whatever stands beside may be what the upstream reads, as `Text` is to one that does not heed case.
  for (const name in part) if (name !== 'type' && name !== part['type']) measured.hasUnmeasured = true
  if (part['type'] === 'text' && typeof part['text'] === 'string') measured.text += Buffer.byteLength(part['text'])
  else if (part['type'] === 'image_url') measureEncoded(part['image_url'], 'url', measured, () => perImage)
  else if (part['type'] === 'input_audio')
    measureEncoded(part['input_audio'], 'data', measured, (length) => Math.max(perReferencedPart, length / audioCharactersPerToken))
  else if (part['type'] === 'file')
    measureEncoded(part['file'], 'file_data', measured, (length) => Math.max(perReferencedPart, length / fileCharactersPerToken))
  else measured.hasUnmeasured = true
}

/** What may stand beside packed data, and is no text to read. */
const ignoredBesideData = new Set(['detail', 'format', 'file_id'])

function measureEncoded(holder: unknown, name: string, measured: Measurement, tokensOf: (length: number) => number): void {
  const isHolder = typeof holder === 'object' && holder !== null
  if (isHolder) for (const other in holder) if (!ignoredBesideData.has(other) && other !== name) measured.hasUnmeasured = true
  // Some vendors have the URL or the data itself in its place.
  const data = isHolder ? (holder as BodyFields)[name] : holder
  const length = typeof data === 'string' ? data.length : 0
  measured.encoded += length
  measured.extra += Math.ceil(tokensOf(length))
}
