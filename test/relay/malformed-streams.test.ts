import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { OpenAI } from 'openai'
import { chat } from '../../src/operations/chat.ts'
import { RelayStream } from '../../src/providers/inference/relay-stream.ts'
import { chatCompletionChunk } from '../../src/schemas/chat.ts'
import { chatChunk, done, frame } from '../../src/testing/index.ts'
import { Slab } from '../../src/wire/byte-writer.ts'
import { accumulated } from './openai-python.ts'
import { dataOf, chatBody, startRelay } from './relay-server.ts'

const encoder = new TextEncoder()

/** What the caller gets of a stream whose frames come in one piece each. */
async function relayed(frames: readonly string[], choices = 1): Promise<string> {
  const queue = frames.map((text) => encoder.encode(text))
  const stream = new RelayStream(
    {
      read: async () => (queue.length > 0 ? [queue.shift() as Uint8Array] : undefined),
      bytes: async () => new Uint8Array(),
      cancel: () => undefined,
      drain: () => undefined,
    },
    {
      upstream: { id: 'up', secrets: [] },
      requestedModel: 'up/m',
      idPrefix: 'chatcmpl-',
      object: 'chat.completion.chunk',
      withholdUsage: true,
      terminal: 'done',
      choices,
      keepAliveTimeout: 60_000,
      idleTimeout: 60_000,
      request: { format: chat.format, body: {}, bytes: 2 },
      slab: new Slab(),
    },
  )
  let text = ''
  for (let item = await stream.next(); !item.done; item = await stream.next()) text += Buffer.from(item.value).toString()
  return text
}

interface Called {
  id?: string
  name: string
  arguments: string
}
interface Message {
  content: string
  calls: Called[]
}

/** What openai-node's stream helper makes of it. */
async function readByNode(text: string, n: number): Promise<Message[]> {
  const client = new OpenAI({
    baseURL: 'http://127.0.0.1/v1',
    apiKey: 'k',
    fetch: () => Promise.resolve(new Response(text, { headers: { 'content-type': 'text/event-stream' } })),
  })
  const { choices } = await client.chat.completions.stream({ model: 'm', messages: [], n }).finalChatCompletion()
  return choices.map(({ message }) => ({ content: message.content ?? '', calls: (message.tool_calls ?? []).map(calledIn) }))
}

function calledIn(call: unknown): Called {
  const { type, function: fn, id } = call as { type: string; id: string; function: Called }
  expect({ type, hasId: id !== '' }).toEqual({ type: 'function', hasId: true })
  return { id, name: fn.name, arguments: fn.arguments }
}

function readByPython(chunks: Record<string, unknown>[]): Message[] {
  return accumulated(chunks).map((message) => {
    const calls = (message['tool_calls'] ?? []) as { id: string }[]
    // Results of tools refer to the ids.
    expect(new Set(calls.map(({ id }) => id)).size).toBe(calls.length)
    return { content: (message['content'] ?? '') as string, calls: calls.map(calledIn) }
  })
}

const json = fc.dictionary(fc.string({ maxLength: 3 }), fc.oneof(fc.string({ unit: 'grapheme', maxLength: 6 }), fc.nat(99)), { maxKeys: 3 })
const call = fc.record({ name: fc.constantFrom('f', 'g', 'get_weather'), input: json, cuts: fc.array(fc.nat(30), { maxLength: 3 }) })
const message = fc.record({ words: fc.array(fc.string({ maxLength: 5 }), { maxLength: 2 }), calls: fc.array(call, { maxLength: 3 }) })

/** How an upstream departs from the schema. */
const faults = fc.record({
  index: fc.constantFrom('right', 'absent', 'null', 'negative', 'always 0', 'text', 'from 1', 'with gaps'),
  id: fc.constantFrom('first', 'every', 'absent', 'then empty', 'then null', 'always the same'),
  name: fc.constantFrom('first', 'every', 'then null', 'then empty'),
  type: fc.constantFrom('first', 'absent', 'every', 'then null'),
  input: fc.constantFrom('pieces', 'object', 'whole'),
  role: fc.constantFrom('first', 'absent', 'late', 'null'),
  together: fc.boolean(),
  choiceIndex: fc.constantFrom('right', 'absent', 'null', 'text'),
  finish: fc.constantFrom('null', 'absent'),
})
type Faults = typeof faults extends fc.Arbitrary<infer F> ? F : never
type Meant = typeof message extends fc.Arbitrary<infer M> ? M : never

/** Whether the calls can be distinguished at all. */
function isTellable({ index, id, name, input }: Faults, messages: readonly Meant[]): boolean {
  const hasIndex = ['right', 'text', 'from 1', 'with gaps'].includes(index)
  const hasId = ['first', 'every', 'then empty', 'then null'].includes(id)
  if (hasIndex || hasId || input !== 'pieces') return true
  if (name !== 'every' && id === 'absent' && index !== 'always 0') return true
  // Only another name, or the beginning of an object, shows that another call begins.
  return messages.every(({ calls }) =>
    calls.every(
      (one, at) =>
        (at === 0 || one.name !== calls[at - 1]?.name) && pieces(one).every((piece, number) => number === 0 || !/^\s*\{/.test(piece)),
    ),
  )
}

function pieces({ input, cuts }: Meant['calls'][number]): string[] {
  const text = JSON.stringify(input)
  const edges = [...new Set([0, ...cuts.map((cut) => cut % text.length), text.length])].toSorted((a, b) => a - b)
  return edges.slice(1).map((edge, at) => text.slice(edges[at], edge))
}

/** The entries of `tool_calls` as such an upstream sends them, in the order in which they come. */
function entriesOf(called: Meant['calls'][number], at: number, given: Faults): object[] {
  const indexes = {
    right: at,
    absent: undefined,
    null: null,
    negative: -1,
    'always 0': 0,
    text: String(at),
    'from 1': at + 1,
    'with gaps': at * 3,
  }
  const parts: unknown[] =
    given.input === 'pieces' ? pieces(called) : [given.input === 'object' ? called.input : JSON.stringify(called.input)]
  return parts.map((part, number) => {
    const later = (how: string, value: string): string | null | undefined =>
      number === 0 || how === 'every' || how === 'always the same'
        ? value
        : how === 'then null'
          ? null
          : how === 'then empty'
            ? ''
            : undefined
    return {
      index: indexes[given.index],
      id: given.id === 'absent' ? undefined : later(given.id, given.id === 'always the same' ? 'call' : `call_${at}`),
      type: given.type === 'absent' ? undefined : later(given.type, 'function'),
      function: { name: later(given.name, called.name), arguments: part },
    }
  })
}

function framesOf(messages: readonly Meant[], given: Faults): string[] {
  const frames: string[] = []
  for (const [number, { words, calls }] of messages.entries()) {
    const index = { right: number, absent: undefined, null: null, text: String(number) }[given.choiceIndex]
    const say = (delta: object, reason?: string): void => {
      const finish = reason ?? (given.finish === 'null' ? null : undefined)
      frames.push(
        frame({ id: 'a', object: 'chat.completion.chunk', created: 1, model: 'real', choices: [{ index, delta, finish_reason: finish }] }),
      )
    }
    if (given.role === 'first') say({ role: 'assistant', content: '' })
    if (given.role === 'null') say({ role: null, content: '' })
    for (const content of words) say({ content })
    if (given.role === 'late') say({ role: 'assistant' })
    const all = calls.map((one, at) => entriesOf(one, at, given))
    if (given.together && all.every((entries) => entries.length === 1) && all.length > 0) say({ tool_calls: all.flat() })
    else for (const entry of all.flat()) say({ tool_calls: [entry] })
    say({}, calls.length > 0 ? 'tool_calls' : 'stop')
  }
  return [...frames, done]
}

test('[MAL-1] both official clients read streamed tool calls with missing members as they were meant, by the published schema', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 2 }), faults, async (messages, given) => {
      fc.pre(isTellable(given, messages) && (messages.length === 1 || given.choiceIndex === 'right' || given.choiceIndex === 'text'))
      const text = await relayed(framesOf(messages, given), messages.length)
      const chunks = dataOf(text)
        .slice(0, -1)
        .map((data) => JSON.parse(data) as Record<string, unknown>)
      const meant = messages.map(({ words, calls }) => ({
        content: words.join(''),
        calls: calls.map(({ name, input }) => ({ name, arguments: JSON.stringify(input) })),
      }))
      for (const chunk of chunks) chatCompletionChunk.parse(chunk)
      const read = readByPython(chunks)
      expect(read).toMatchObject(meant)
      // A text that comes twice is joined by one client and not by the other: an id, for one.
      expect(await readByNode(text, messages.length)).toEqual(read)
      if (['first', 'every', 'then empty', 'then null'].includes(given.id))
        for (const { calls } of read) for (const [at, { id }] of calls.entries()) expect(id).toBe(`call_${at}`)
    }),
    { numRuns: 100 },
  )
})

const sound: Faults = {
  index: 'right',
  id: 'first',
  name: 'first',
  type: 'first',
  input: 'pieces',
  role: 'first',
  together: false,
  choiceIndex: 'right',
  finish: 'null',
}

test('[MAL-2] chunks that have the schema pass as they came', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 2 }), async (messages) => {
      const frames = framesOf(messages, sound)
      expect(await relayed(frames, messages.length)).toBe(frames.join('').replaceAll('"real"', '"up/m"'))
    }),
    { numRuns: 50 },
  )
})

describe('a stream', () => {
  const path = '/v1/chat/completions'

  async function chunksOf(...frames: string[]): Promise<{ choices: Record<string, unknown>[] }[]> {
    await using on = await startRelay([{ body: [...frames, done] }])
    const text = await (await on.post(path, { ...chatBody, stream: true })).text()
    return dataOf(text)
      .filter((data) => data !== '[DONE]')
      .map((data) => JSON.parse(data) as { choices: Record<string, unknown>[] })
  }

  test('[MAL-1] through the server gets the index, type and role that are missing', async () => {
    const entry = { id: 'c1', function: { name: 'f', arguments: { a: 1 } } }
    const [chunk] = await chunksOf(frame({ choices: [{ delta: { tool_calls: [entry, { ...entry, id: 'c2' }] } }] }))
    const called = { type: 'function', function: { name: 'f', arguments: '{"a":1}' } }
    expect(chunk?.choices).toEqual([
      {
        index: 0,
        finish_reason: null,
        delta: {
          role: 'assistant',
          tool_calls: [
            { index: 0, id: 'c1', ...called },
            { index: 1, id: 'c2', ...called },
          ],
        },
      },
    ])
  })

  test('keeps the digits of arguments that come as an object, and fields that are unknown', async () => {
    const text =
      '{"index":0,"x":1.0,"delta":{"role":"assistant","tool_calls":[{"id":"a","extra":{"s":"\\u00e9"},"function":{"name":"f","arguments":{"n":12345678901234567890}}}]},"finish_reason":null}'
    await using on = await startRelay([{ body: [`data: {"choices":[${text}]}\n\n`, done] }])
    const errorBody = await (await on.post(path, { ...chatBody, stream: true })).text()
    const repaired = text
      .replace('{"n":12345678901234567890}', '"{\\"n\\":12345678901234567890}"')
      .replace('{"id":"a"', '{"index":0,"type":"function","id":"a"')
    expect(errorBody).toContain(`"choices":[${repaired}]`)
  })

  test('has a call without a list, a message in place of a delta, and chunks without choices repaired', async () => {
    const said = { content: null, tool_calls: { function: { name: 'f', arguments: '{}' } } }
    const [whole, none, nothing] = await chunksOf(
      frame({ object: 'chat.completion', choices: [{ index: 0, message: said, delta: null, finish_reason: 'tool_calls' }] }),
      frame({ x_vendor: 1 }),
      frame({ choices: null }),
    )
    expect(whole).toMatchObject({ object: 'chat.completion.chunk' })
    expect(whole?.choices[0]?.['delta']).toEqual({
      role: 'assistant',
      content: null,
      tool_calls: [
        { index: 0, id: expect.stringMatching(/^call_[0-9a-f]{24}$/), type: 'function', function: { name: 'f', arguments: '{}' } },
      ],
    })
    expect(none).toMatchObject({ choices: [], x_vendor: 1 })
    expect(nothing?.choices).toEqual([])
  })

  test.each([
    ['choices', { choices: 'none' }],
    ['a choice', { choices: [1] }],
    ['a delta', { choices: [{ index: 0, delta: 'text' }] }],
    ['tool calls', { choices: [{ index: 0, delta: { tool_calls: 'f()' } }] }],
    ['a tool call', { choices: [{ index: 0, delta: { tool_calls: [null] } }] }],
    [
      'too many deltas of tool calls',
      { choices: [{ index: 0, delta: { tool_calls: Array.from({ length: 1025 }, () => ({ index: 0 })) } }] },
    ],
    ['a function', { choices: [{ index: 0, delta: { tool_calls: [{ function: 'f' }] } }] }],
    [
      'too many tool calls',
      { choices: [{ index: 0, delta: { tool_calls: Array.from({ length: 1025 }, () => ({ function: { name: 'f' } })) } }] },
    ],
  ])('ends with an error where %s cannot be repaired', async (_, chunk) => {
    await using on = await startRelay([{ body: [chatChunk({ content: 'good' }), frame(chunk), done] }])
    const data = dataOf(await (await on.post(path, { ...chatBody, stream: true })).text())
    expect(data).toHaveLength(2)
    expect(JSON.parse(data[1]!)).toMatchObject({ error: { type: 'upstream_error', code: 'upstream_invalid_response' } })
  })

  test('of a text completion gets what its choices lack', async () => {
    await using on = await startRelay([{ body: [frame({ choices: [{ text: 'a' }, { index: 1, text: null }] }), done] }])
    const text = await (await on.post('/v1/completions', { model: 'up/m', prompt: ['a', 'b'], stream: true })).text()
    expect(JSON.parse(dataOf(text)[0]!)).toMatchObject({
      choices: [
        { index: 0, text: 'a', logprobs: null, finish_reason: null },
        { index: 1, text: '', logprobs: null, finish_reason: null },
      ],
    })
  })
})
