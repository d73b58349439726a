import type { FinishReason, Piece } from './generate.ts'

export interface ReplyHead {
  id: string
  created: number
  model: string
}

export interface TokenCounts {
  prompt: number
  completion: number
}

/** `chatcmpl-…`, as OpenAI has it. */
export function newId(prefix: string): string {
  return prefix + crypto.randomUUID().replaceAll('-', '')
}

export function usageOf({ prompt, completion }: TokenCounts): object {
  return { prompt_tokens: prompt, completion_tokens: completion, total_tokens: prompt + completion }
}

interface ChatDelta {
  role?: 'assistant'
  content?: string
  reasoning_content?: string
  tool_calls?: { index: number; id?: string; type?: 'function'; function: { name?: string; arguments: string } }[]
}

/** One piece as the delta that says it. */
export function toDelta(piece: Piece): ChatDelta {
  if (piece.kind === 'text') return { content: piece.text }
  if (piece.kind === 'reasoning') return { reasoning_content: piece.text }
  const { index } = piece
  if (piece.kind === 'arguments') return { tool_calls: [{ index, function: { arguments: piece.text } }] }
  return { tool_calls: [{ index, id: newId('call_'), type: 'function', function: { name: piece.name, arguments: '' } }] }
}

export function toChunk(head: ReplyHead, choices: readonly object[], usage?: object | null): object {
  return { ...shell(head, 'chat.completion.chunk'), choices, ...(usage !== undefined && { usage }) }
}

export function toChoice(index: number, delta: ChatDelta, finish: FinishReason | null = null): object {
  return { index, delta, logprobs: null, finish_reason: finish }
}

function shell({ id, created, model }: ReplyHead, object: string): object {
  return { id, object, created, model, system_fingerprint: null }
}

/** One choice of a JSON reply: the fold over the same deltas. */
export class MessageFold {
  #content = ''
  #reasoning = ''
  readonly #calls: { id: string; type: 'function'; function: { name: string; arguments: string } }[] = []

  add({ content, reasoning_content: reasoning, tool_calls: calls }: ChatDelta): void {
    this.#content += content ?? ''
    this.#reasoning += reasoning ?? ''
    for (const { index, id, function: called } of calls ?? []) {
      if (id !== undefined) this.#calls[index] = { id, type: 'function', function: { name: called.name ?? '', arguments: '' } }
      this.#calls[index]!.function.arguments += called.arguments
    }
  }

  toChoice(index: number, finish: FinishReason): object {
    const calls = this.#calls.length > 0
    return {
      index,
      message: {
        role: 'assistant',
        content: calls && this.#content === '' ? null : this.#content,
        refusal: null,
        ...(this.#reasoning !== '' && { reasoning_content: this.#reasoning }),
        ...(calls && { tool_calls: this.#calls }),
      },
      logprobs: null,
      finish_reason: finish,
    }
  }
}

export function toCompletion(head: ReplyHead, choices: readonly object[], usage: object): object {
  return { ...shell(head, 'chat.completion'), choices, usage }
}
