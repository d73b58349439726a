import type { InputSize, JsonObject } from '../wire-format.ts'
import { choiceCountFields, maxTokenFields } from './fields.ts'

/** Tokens that chat templates add to each message, and to each request. */
const messageTokens = 8
const requestTokens = 8
/** Characters of a role that `messageTokens` covers. A longer one counts as text: templates write roles into the prompt. */
const maxRoleLength = 32
/** Tokens of the instructions that vendors add before the definitions of tools. */
const toolsTokens = 512
const imageTokens = 2_048
/** Minimum for content that the request only references, or whose size is unknown. */
const unseenPartTokens = 4_096
/** Characters of base64 for one token: of speech at 16 kbit/s and 32 tokens a second, of a compressed document. */
const audioCharactersPerToken = 64
const fileCharactersPerToken = 4

interface Measure {
  text: number
  extra: number
  tokens: number
  /** Characters of the body that are neither text nor tokens: images and sound in base64. */
  packed: number
  /** Whether the body has content that was not measured: then the whole body counts. */
  isIncomplete: boolean
}

/** Fields that do not become part of the prompt. */
const notPrompt: ReadonlySet<string> = new Set([
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

/**
 * Counts the texts of messages, prompts and inputs, and the whole body where it contains more (tools, response formats, unknown fields); a constant
 * for each image; sound and files by their size.
 */
export function inputSize(body: unknown, bytes: number): InputSize {
  const measure: Measure = { text: 0, extra: requestTokens, tokens: 0, packed: 0, isIncomplete: false }
  if (typeof body !== 'object' || body === null) {
    measure.text = bytes
    return measure
  }
  const fields = body as JsonObject
  for (const name in fields) {
    if (!notPrompt.has(name) && fields[name] !== undefined && fields[name] !== null) measure.isIncomplete = true
  }
  if (Array.isArray(fields['tools']) || Array.isArray(fields['functions'])) measure.extra += toolsTokens
  const { messages, prompt, input } = fields
  if (Array.isArray(messages)) for (const message of messages as unknown[]) addMessage(message, measure)
  else if ((prompt ?? input ?? undefined) === undefined) measure.isIncomplete = true
  addTexts(prompt, measure)
  addTexts(input, measure)
  if (measure.isIncomplete) measure.text = Math.max(measure.text, bytes - measure.packed)
  return measure
}

/** Nothing, a text, or a list of tokens; or a list of these, each of which is a separate request to the model. */
function addTexts(value: unknown, measure: Measure): void {
  if (value === undefined || value === null) return
  if (typeof value === 'string') measure.text += Buffer.byteLength(value)
  else if (isTokens(value)) measure.tokens += value.length
  else if (!Array.isArray(value)) measure.isIncomplete = true
  else {
    measure.extra += requestTokens * Math.max(0, value.length - 1)
    for (const one of value as unknown[]) {
      if (typeof one === 'string') measure.text += Buffer.byteLength(one)
      else if (isTokens(one)) measure.tokens += one.length
      else measure.isIncomplete = true
    }
  }
}

function isTokens(value: unknown): value is readonly number[] {
  return Array.isArray(value) && value.length > 0 && value.every((one) => typeof one === 'number')
}

function addMessage(item: unknown, measure: Measure): void {
  measure.extra += messageTokens
  if (typeof item !== 'object' || item === null) {
    measure.isIncomplete = true
    return
  }
  const message = item as JsonObject
  for (const name in message) {
    const value = message[name]
    if (value === null || value === undefined || (name === 'role' && typeof value === 'string' && value.length <= maxRoleLength)) continue
    if (typeof value === 'string') measure.text += Buffer.byteLength(value)
    else if (name === 'content' && Array.isArray(value)) for (const part of value) addPart(part as JsonObject, measure)
    else measure.isIncomplete = true
  }
}

function addPart(part: JsonObject, measure: Measure): void {
  if (typeof part !== 'object' || part === null) {
    measure.isIncomplete = true
    return
  }
  // An upstream may read other fields, for example `Text` where it ignores case.
  for (const name in part) if (name !== 'type' && name !== part['type']) measure.isIncomplete = true
  if (part['type'] === 'text' && typeof part['text'] === 'string') measure.text += Buffer.byteLength(part['text'])
  else if (part['type'] === 'image_url') addPacked(part['image_url'], 'url', measure, () => imageTokens)
  else if (part['type'] === 'input_audio')
    addPacked(part['input_audio'], 'data', measure, (length) => Math.max(unseenPartTokens, length / audioCharactersPerToken))
  else if (part['type'] === 'file')
    addPacked(part['file'], 'file_data', measure, (length) => Math.max(unseenPartTokens, length / fileCharactersPerToken))
  else measure.isIncomplete = true
}

/** Fields beside base64 data that are not text. */
const besideData = new Set(['detail', 'format', 'file_id'])

function addPacked(holder: unknown, name: string, measure: Measure, tokensOf: (length: number) => number): void {
  const isHolder = typeof holder === 'object' && holder !== null
  if (isHolder) for (const other in holder) if (!besideData.has(other) && other !== name) measure.isIncomplete = true
  // Some vendors accept the URL or the data itself in place of the object.
  const data = isHolder ? (holder as JsonObject)[name] : holder
  const length = typeof data === 'string' ? data.length : 0
  measure.packed += length
  measure.extra += Math.ceil(tokensOf(length))
}
