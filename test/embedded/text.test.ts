import { afterAll, beforeAll, describe, expect, test, setDefaultTimeout } from 'bun:test'
import { eventsOf, startEmbedded, type ChatReply, type ErrorReply, type EmbeddedServer } from './embedded-server.ts'

// Each process of models takes a second to start, more on a busy machine.
setDefaultTimeout(60_000)

interface Completion {
  object: string
  model: string
  choices: { index: number; text: string; finish_reason: string }[]
  usage: ChatReply['usage']
}

interface Embeddings {
  data: { index: number; embedding: number[] | string }[]
  model: string
  usage: { prompt_tokens: number; total_tokens: number; completion_tokens?: number }
}

let on: EmbeddedServer
beforeAll(async () => {
  on = await startEmbedded({ tiny: {} })
})
afterAll(() => on[Symbol.asyncDispose]())

async function refused(path: string, body: object): Promise<ErrorReply['error'] & { status: number }> {
  const response = await on.post(path, body)
  return { status: response.status, ...((await response.json()) as ErrorReply).error }
}

describe('plain completions', () => {
  test('continue the text as it stands', async () => {
    const reply = await on.ask<Completion>('completions', { prompt: 'H' })
    expect(reply).toMatchObject({
      object: 'text_completion',
      model: 'llama-cpp/tiny',
      choices: [{ index: 0, text: 'i, you.', finish_reason: 'stop' }],
    })
    expect(reply.usage).toEqual({ prompt_tokens: 2, completion_tokens: 8, total_tokens: 10 })
  })

  test('take several prompts, token lists, echo and n', async () => {
    const several = await on.ask<Completion>('completions', { prompt: ['H', 'y'], echo: true, max_tokens: 2, n: 2 })
    expect(several.choices.map(({ text }) => text)).toEqual(['Hi,', 'Hi,', 'you', 'you'])
    const y = 5 + 256 + 1 + 'y'.charCodeAt(0) - 33
    const tokens = await on.ask<Completion>('completions', { prompt: [[y]], stop: '.' })
    expect(tokens.choices[0]).toMatchObject({ text: 'ou', finish_reason: 'stop' })
  })

  test('stream', async () => {
    const events = await eventsOf(await on.post('completions', { prompt: 'H', stream: true, stream_options: { include_usage: true } }))
    expect(events.at(-1)).toBe('[DONE]')
    const chunks = events.slice(0, -1) as unknown as Completion[]
    expect(chunks.map(({ choices }) => choices[0]?.text ?? '').join('')).toBe('i, you.')
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe('stop')
    expect(chunks.at(-1)?.usage.total_tokens).toBe(10)
  })

  test.each([
    ['log probabilities', { prompt: 'H', logprobs: 1 }, 'logprobs'],
    ['a suffix', { prompt: 'H', suffix: 'x' }, 'suffix'],
    ['a number that is no token', { prompt: [99_999_999] }, 'prompt[0]'],
    ['a prompt longer than the context', { prompt: 'x'.repeat(3000) }, 'prompt'],
  ])('refuse %s', async (_, body, param) => {
    expect(await refused('completions', body)).toMatchObject({ status: 400, param })
  })
})

describe('embeddings', () => {
  test('are unit vectors in the order of the inputs, the same as floats and as base64', async () => {
    const input = ['ab', 'c']
    const floats = await on.ask<Embeddings>('embeddings', { input })
    expect(floats.data.map(({ index }) => index)).toEqual([0, 1])
    expect(floats).toMatchObject({ model: 'llama-cpp/tiny', usage: { prompt_tokens: 5, total_tokens: 5 } })
    for (const { embedding } of floats.data) expect(Math.hypot(...(embedding as number[]))).toBeCloseTo(1, 4)
    expect(floats.data[0]?.embedding).not.toEqual(floats.data[1]!.embedding)
    const packed = await on.ask<Embeddings>('embeddings', { input, encoding_format: 'base64' })
    const bytes = Buffer.from(packed.data[0]!.embedding as string, 'base64')
    const unpacked = [...new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))]
    expect(unpacked).toEqual(floats.data[0]!.embedding as number[])
  })

  test('can be asked for many at once', async () => {
    const replies = await Promise.all(Array.from({ length: 8 }, (_, at) => on.ask<Embeddings>('embeddings', { input: 'abcdefgh'[at] })))
    const alone = await on.ask<Embeddings>('embeddings', { input: 'd' })
    expect(replies[3]!.data[0]!.embedding).toEqual(alone.data[0]!.embedding)
  })

  test.each([
    ['an empty text', { input: ['a', ''] }, 'input[1]'],
    ['another dimension', { input: 'a', dimensions: 3 }, 'dimensions'],
    ['a text longer than the context', { input: 'x'.repeat(3000) }, 'input[0]'],
  ])('refuse %s', async (_, body, param) => {
    expect(await refused('embeddings', body)).toMatchObject({ status: 400, param })
  })
})
