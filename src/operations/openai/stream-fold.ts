import { parseObject } from './reply.ts'

interface FoldedChoice {
  text: string
  reason: string | undefined
  readonly calls: Map<number, { id: unknown; function: { name: unknown; arguments: string } }>
}

interface StreamChoice {
  readonly index?: number
  readonly text?: unknown
  readonly finish_reason?: unknown
  readonly delta?: {
    readonly content?: unknown
    readonly tool_calls?: readonly { index?: number; id?: unknown; function?: { name?: unknown; arguments?: unknown } }[]
  } | null
}

/** The choices of a stream in the form of a complete reply: the texts of each joined. Incomplete frames and frames that are not JSON are skipped. */
export function foldFrames(frames: string): { choices: object[] } {
  const choices = new Map<number, FoldedChoice>()
  for (const frame of frames.split('\n\n')) {
    if (!frame.startsWith('data: {')) continue
    for (const choice of choicesIn(frame.slice(6))) addChoice(choices, choice)
  }
  return {
    choices: [...choices.values()].map(({ text: content, calls, reason }) => ({
      message: { role: 'assistant', content, ...(calls.size > 0 && { tool_calls: [...calls.values()] }) },
      finish_reason: reason,
    })),
  }
}

function choicesIn(json: string): readonly StreamChoice[] {
  const choices = parseObject(json)?.['choices']
  return Array.isArray(choices) ? (choices as (StreamChoice | null)[]).filter((choice) => choice !== null) : []
}

function addChoice(choices: Map<number, FoldedChoice>, { index = 0, text, delta, finish_reason: reason }: StreamChoice): void {
  let choice = choices.get(index)
  if (!choice) choices.set(index, (choice = { text: '', reason: undefined, calls: new Map() }))
  const content = delta?.content ?? text
  if (typeof content === 'string') choice.text += content
  if (typeof reason === 'string') choice.reason = reason
  if (!Array.isArray(delta?.tool_calls)) return
  for (const { index: at = 0, id, function: called } of delta.tool_calls) {
    let call = choice.calls.get(at)
    if (!call) choice.calls.set(at, (call = { id, function: { name: called?.name, arguments: '' } }))
    if (typeof called?.arguments === 'string') call.function.arguments += called.arguments
  }
}
