import { makeId } from './frame-editor.ts'

/** Told to a caller that asked for a stream and whose upstream gave a whole answer. */
export interface WholeToStreamOptions {
  told: string
  /** How its id begins where the upstream gave none. */
  idPrefix: string
  /** Whether the caller asked for usage. */
  wantsUsage: boolean
}

type Fields = Readonly<Record<string, unknown>>

/**
 * The chunks that say the same as a whole chat or text completion: one with all that was said, one with the finish reasons, one with usage where it is
 * wanted. Undefined when `whole` is no completion.
 */
export function toChunks(whole: Fields, options: WholeToStreamOptions): object[] | undefined {
  const { choices, usage, object, ...rest } = whole
  if (!Array.isArray(choices) || choices.length === 0 || !choices.every(isFields)) return undefined
  const isText = choices.every((choice) => 'text' in choice)
  if (!isText && !choices.every((choice) => isFields(choice['message']))) return undefined
  const head = {
    ...rest,
    id: typeof rest['id'] === 'string' && rest['id'] !== '' ? rest['id'] : makeId(options.idPrefix),
    object: isText ? (object ?? 'text_completion') : 'chat.completion.chunk',
    created: typeof rest['created'] === 'number' ? rest['created'] : Math.floor(Date.now() / 1000),
    model: options.told,
  }
  const said = choices.map((choice: Fields, at) => ({
    index: at,
    ...withoutMessage(choice),
    ...(isText ? {} : { delta: toDelta(choice) }),
    finish_reason: null,
  }))
  const finished = choices.map((choice: Fields, at) => ({
    index: choice['index'] ?? at,
    ...(isText ? { text: '' } : { delta: {} }),
    logprobs: null,
    finish_reason: choice['finish_reason'] ?? 'stop',
  }))
  return [
    { ...head, choices: said },
    { ...head, choices: finished },
    ...(options.wantsUsage && isFields(usage) ? [{ ...head, choices: [], usage }] : []),
  ]
}

function withoutMessage(choice: Fields): Fields {
  return Object.fromEntries(Object.entries(choice).filter(([key]) => key !== 'message'))
}

function toDelta(choice: Fields): Fields {
  const message = choice['message'] as Fields
  const calls = message['tool_calls']
  if (!Array.isArray(calls)) return message
  return { ...message, tool_calls: calls.map((call: unknown, index) => ({ index, ...(isFields(call) && call) })) }
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
