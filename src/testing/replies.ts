import type { Script } from './script.ts'

/** One server-sent event of OpenAI's kind. */
export function frame(data: unknown): string {
  return `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`
}

export const done = frame('[DONE]')

const created = 1_700_000_000
const usage = { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 }

/** A response with a JSON body. */
export function jsonReply(value: unknown, status = 200, headers: Record<string, string> = {}): Script {
  return { status, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify(value) }
}

/** A provider's error. `body` is sent as it is when a text, else as JSON; absent: OpenAI's form with a message that has the status. */
export function errorReply(status: number, body?: unknown, headers: Record<string, string> = {}): Script {
  const value = body ?? { error: { message: `The mock says ${status}.`, type: 'mock_error', param: null, code: `mock_${status}` } }
  if (typeof value !== 'string') return jsonReply(value, status, headers)
  return { status, headers: { 'content-type': 'text/html', ...headers }, body: value }
}

export function chatReply(content = 'Hello there.', over: Record<string, unknown> = {}): Script {
  return jsonReply({
    id: 'chatcmpl-mock',
    object: 'chat.completion',
    created,
    model: 'mock-upstream-model',
    choices: [{ index: 0, message: { role: 'assistant', content, refusal: null }, logprobs: null, finish_reason: 'stop' }],
    usage,
    ...over,
  })
}

/** One chunk of a streamed chat completion, as the mock's upstream says it. */
export function chatChunk(delta: Record<string, unknown>, finishReason: string | null = null, over: Record<string, unknown> = {}): string {
  return frame({
    id: 'chatcmpl-mock',
    object: 'chat.completion.chunk',
    created,
    model: 'mock-upstream-model',
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }],
    ...over,
  })
}

export const usageChunk = chatChunk({}, null, { choices: [], usage })

/** The frames of a whole streamed chat completion, usage and `[DONE]` included. */
export function chatFrames(words: readonly string[] = ['Hello', ' there', '.']): string[] {
  return [
    chatChunk({ role: 'assistant', content: '' }),
    ...words.map((content) => chatChunk({ content })),
    chatChunk({}, 'stop'),
    usageChunk,
    done,
  ]
}

export function chatStream(words?: readonly string[]): Script {
  return { body: chatFrames(words) }
}

const toolCall = { id: 'call_mock', type: 'function', function: { name: 'get_weather', arguments: '{"city":"Oslo"}' } }

/** A complete response that calls one tool. */
export function toolReply(): Script {
  const message = { role: 'assistant', content: null, refusal: null, tool_calls: [toolCall] }
  return chatReply('', { choices: [{ index: 0, message, logprobs: null, finish_reason: 'tool_calls' }] })
}

/** A stream that calls two tools, their arguments in pieces. */
export function toolStream(): Script {
  const start = (index: number, id: string, name: string): string =>
    chatChunk({ tool_calls: [{ index, id, type: 'function', function: { name, arguments: '' } }] })
  const more = (index: number, piece: string): string => chatChunk({ tool_calls: [{ index, function: { arguments: piece } }] })
  return {
    body: [
      chatChunk({ role: 'assistant', content: null }),
      start(0, 'call_mock', 'get_weather'),
      more(0, '{"city":'),
      more(0, '"Oslo"}'),
      start(1, 'call_mock_2', 'get_time'),
      more(1, '{}'),
      chatChunk({}, 'tool_calls'),
      usageChunk,
      done,
    ],
  }
}

export function completionReply(text = 'Hello there.'): Script {
  const choices = [{ index: 0, text, logprobs: null, finish_reason: 'stop' }]
  return jsonReply({ id: 'cmpl-mock', object: 'text_completion', created, model: 'mock-upstream-model', choices, usage })
}

function completionChunk(text: string, finishReason: string | null = null): string {
  const choices = [{ index: 0, text, logprobs: null, finish_reason: finishReason }]
  return frame({ id: 'cmpl-mock', object: 'text_completion', created, model: 'mock-upstream-model', choices })
}

export function completionStream(words: readonly string[] = ['Hello', ' there', '.']): Script {
  return { body: [...words.map((word) => completionChunk(word)), completionChunk('', 'stop'), done] }
}

export function embeddingsReply(vectors: readonly (readonly number[])[] = [[0.1, -0.2, 0.3]]): Script {
  return jsonReply({
    object: 'list',
    data: vectors.map((embedding, index) => ({ object: 'embedding', index, embedding })),
    model: 'mock-upstream-model',
    usage: { prompt_tokens: 4, total_tokens: 4 },
  })
}

export function modelsReply(ids: readonly string[]): Script {
  return jsonReply({ object: 'list', data: ids.map((id) => ({ id, object: 'model', created, owned_by: 'mock' })) })
}
