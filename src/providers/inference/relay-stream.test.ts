import { expect, test } from 'bun:test'
import * as fc from 'fast-check'
import type { EgressBody } from '../../egress/egress.ts'
import { ApiError } from '../../errors.ts'
import { chat } from '../../operations/chat.ts'
import { Slab } from '../../wire/byte-writer.ts'
import { RelayStream } from './relay-stream.ts'
import { runs } from '../../testing/sizes.ts'

const encoder = new TextEncoder()
const decoder = new TextDecoder()

function bodyOf(pieces: readonly Uint8Array[]): EgressBody {
  const queue = [...pieces]
  return {
    read: async () => (queue.length > 0 ? [queue.shift() as Uint8Array] : undefined),
    bytes: async () => new Uint8Array(),
    cancel: () => void queue.splice(0),
    drain: () => undefined,
  }
}

/** All that a caller gets, and how it ends. */
async function relayed(pieces: readonly Uint8Array[]): Promise<{ text: string; failure: string | undefined }> {
  const stream = new RelayStream(bodyOf(pieces), {
    upstream: { id: 'up', secrets: [] },
    requestedModel: 'up/m',
    idPrefix: 'chatcmpl-',
    object: 'chat.completion.chunk',
    withholdUsage: true,
    terminal: 'done',
    choices: 1,
    keepAliveTimeout: 60_000,
    idleTimeout: 60_000,
    request: { format: chat.format, body: {}, bytes: 2 },
    slab: new Slab(),
  })
  let text = ''
  try {
    for (let item = await stream.next(); !item.done; item = await stream.next())
      text += decoder.decode(item.value.slice(), { stream: true })
  } catch (error) {
    if (!(error instanceof ApiError)) throw error
    return { text, failure: `${error.status} ${error.message}` }
  }
  return { text, failure: undefined }
}

function chunk(content: string): string {
  const choices = [{ index: 0, delta: { content }, finish_reason: null }]
  return `data: ${JSON.stringify({ id: 'a', object: 'chat.completion.chunk', created: 1, model: 'real', choices })}\n\n`
}

const usage = `data: ${JSON.stringify({ id: 'a', created: 1, model: 'real', choices: [], usage: { prompt_tokens: 1, completion_tokens: 2 } })}\n\n`
const frames = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.string({ unit: 'grapheme', maxLength: 12 }).map(chunk) },
    { weight: 1, arbitrary: fc.constantFrom(': a comment\n\n', usage, 'data: invalid\n\n') },
    { weight: 1, arbitrary: fc.constantFrom('data: [DONE]\n\n', `data: ${JSON.stringify({ error: { message: 'Too hot' } })}\n\n`) },
  ),
  { maxLength: 12 },
)

test('[STR-6] however a stream is cut into pieces, the caller gets the same', async () => {
  await fc.assert(
    fc.asyncProperty(frames, fc.array(fc.nat(2000), { maxLength: 12 }), async (all, cuts) => {
      const whole = encoder.encode(all.join(''))
      const places = [...new Set(cuts.map((cut) => cut % (whole.length + 1)))].toSorted((a, b) => a - b)
      const pieces = [0, ...places].map((from, at) => whole.slice(from, places[at] ?? whole.length)).filter((piece) => piece.length > 0)
      const oneByOne = await relayed(all.map((frame) => encoder.encode(frame)))
      expect(await relayed(pieces)).toEqual(oneByOne)
      expect(await relayed(whole.length > 0 ? [whole] : [])).toEqual(oneByOne)
    }),
    { numRuns: runs(300) },
  )
})

test('[STR-8] nothing follows an error or the end, also of what came in the same piece', async () => {
  const error = `data: ${JSON.stringify({ error: { message: 'Too hot' } })}\n\n`
  const started = chunk('a') + chunk('b')
  const failed = await relayed([encoder.encode(started + error + chunk('c'))])
  expect(failed.text).not.toContain('"c"')
  expect(failed.failure).toContain('Too hot')
  const ended = await relayed([encoder.encode(`${started}data: [DONE]\n\n${chunk('c')}`)])
  expect(ended.text).toEndWith('data: [DONE]\n\n')
  expect(ended.failure).toBeUndefined()
})
