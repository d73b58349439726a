import { describe, expect, test } from 'bun:test'
import { ChoicesRepair, choicesForms } from '../../src/providers/inference/choices-repair.ts'
import { StreamFold } from '../../src/providers/inference/stream-to-json.ts'
import { readRankingUsage, readUsage } from '../../src/providers/inference/usage.ts'
import { chatChunk, chatReply, done, embeddingsReply, frame, jsonReply, type Script } from '../../src/testing/index.ts'
import { JsonPatches } from '../../src/wire/json-patches.ts'
import { type Governed, governed } from '../quota/quota-server.ts'
import { dataOf, type ProviderOptions, chatBody, startRelay } from './relay-server.ts'

const path = '/v1/chat/completions'
const deep = (levels: number): string => `${'['.repeat(levels)}${']'.repeat(levels)}`
const choice = { index: 0, message: { role: 'assistant', content: 'Hello there.' }, finish_reason: 'stop' }
const frames = [chatChunk({ role: 'assistant', content: 'Hello' }), chatChunk({ content: ' there.' }), chatChunk({}, 'stop')]

async function ask(script: Script, stream: boolean, options: ProviderOptions = {}): Promise<{ status: number; text: string }> {
  await using on = await startRelay([script], options)
  const response = await on.post(path, { ...chatBody, stream })
  return { status: response.status, text: await response.text() }
}

describe('nesting and numbers without bound', () => {
  test('[HST-1] a whole response that is too deep is a 502, whether or not a stream was requested', async () => {
    const body = JSON.stringify({ choices: [choice], x: 'DEEP' }).replace('"DEEP"', deep(5_000))
    for (const stream of [true, false]) {
      const { status, text } = await ask({ body }, stream)
      expect({ status, text }).toMatchObject({ status: 502, text: expect.stringContaining('upstream_invalid_response') })
    }
  })

  test('[HST-1] a chunk that is too deep ends the stream with an error', async () => {
    const script = { body: [frames[0]!, `data: {"choices":[{"index":0,"delta":{"content":"a","x":${deep(5_000)}}}]}\n\n`, done] }
    expect(dataOf((await ask(script, true)).text).at(-1)).toContain('upstream_invalid_response')
    expect((await ask(script, false)).status).toBe(502)
  })

  test('[HST-1] an error that is too deep keeps its status', async () => {
    for (const body of [`{"error":${deep(30_000)}}`, deep(30_000), `${'{"error":'.repeat(7_000)}1${'}'.repeat(7_000)}`])
      expect((await ask({ status: 429, body }, true, { authorize: () => ({}) })).status).toBe(429)
  })

  test('[HST-1] finish reasons are kept up to a number', () => {
    const choices = Array.from({ length: 100 }, (_, index) => ({ index, delta: {}, finish_reason: 'stop' }))
    const repair = new ChoicesRepair(choicesForms.chatChunk, new JsonPatches())
    expect(repair.examine(new TextEncoder().encode(JSON.stringify(choices)), 0)).toBe(true)
    expect(repair.reasons).toEqual(Array.from({ length: 16 }, () => 'stop'))
    expect(repair.isFinished(100)).toBe(true)
  })
})

test('[HST-2] a chat completion becomes a stream with its message, also beside a member `text`', async () => {
  const script = chatReply('', { choices: [{ ...choice, text: '' }] })
  const chunks = dataOf((await ask(script, true)).text).slice(0, -1)
  expect(JSON.parse(chunks[0]!).choices[0].delta.content).toBe('Hello there.')
})

test('[HST-3] a response has the object that the schema requires, and a time in whole seconds', async () => {
  const created = 1_700_000_000.25
  const { text } = await ask(chatReply('Hello.', { object: 'chat.completion.chunk', created }), false)
  expect(JSON.parse(text)).toMatchObject({ object: 'chat.completion', created: expect.any(Number) })
  expect(JSON.parse(text).created).toSatisfy(Number.isInteger)
  const streamed = await ask({ body: [chatChunk({ content: 'Hello.' }, 'stop', { created }), done] }, true)
  expect(JSON.parse(dataOf(streamed.text)[0]!).created).toSatisfy(Number.isInteger)
})

async function linesOf(script: Script, stream: boolean): Promise<Governed['lines']> {
  await using on = await governed({ quota: { ledger: true } })
  on.upstream.respond(({ method }) => (method === 'POST' ? script : undefined))
  await (await on.chat({ stream })).text()
  return on.lines
}

describe('usage that says nothing', () => {
  const reports = [
    [1, 2],
    {},
    { total_tokens: 12 },
    { prompt_tokens: '5', completion_tokens: '7' },
    { prompt_tokens: -5, total_tokens: -5 },
  ]

  test.each(reports)('[HST-4] %j does not reach a caller that did not request usage', async (usage) => {
    const { text } = await ask({ body: [...frames, chatChunk({}, null, { choices: [], usage }), done] }, true)
    expect(dataOf(text)).toHaveLength(frames.length + 1)
  })

  const none = { prompt_tokens: 0, completion_tokens: 0, total_tokens: 0 }

  test('[HST-4] no tokens at all are no report, unless a cost is reported', () => {
    expect(readUsage(none)).toBeUndefined()
    expect(readUsage({ ...none, cost: 0.25 })).toEqual({ input: 0, output: 0, dollars: 0.25 })
    expect(readUsage({ prompt_tokens: 0, completion_tokens: 1 })).toEqual({ input: 0, output: 1 })
    expect(readRankingUsage({ usage: { total_tokens: 0 } })).toBeUndefined()
  })

  test('[HST-4] a response whose provider reports no tokens is estimated', async () => {
    const body = [...frames, chatChunk({}, null, { choices: [], usage: none }), done]
    expect(await linesOf({ body }, true)).toMatchObject([{ outcome: 'completed', output_tokens: 4, estimated: 1 }])
    const whole = chatReply('Hello there.', { usage: none })
    expect(await linesOf(whole, false)).toMatchObject([{ outcome: 'completed', output_tokens: 3, estimated: 1 }])
  })

  test('[HST-4] a report of no tokens does not replace an earlier one', async () => {
    const usage = { prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 }
    const body = [...frames, chatChunk({}, null, { choices: [], usage }), chatChunk({}, null, { choices: [], usage: none }), done]
    expect(await linesOf({ body }, true)).toMatchObject([{ input_tokens: 5, output_tokens: 7, estimated: 0 }])
  })
})

test('[HST-5] a stream that breaks off within a frame has broken off', async () => {
  const { text } = await ask({ body: [frames[0]!, frames[1]!.slice(0, 40)] }, true)
  const { error } = JSON.parse(dataOf(text).at(-1)!)
  expect(error.code).toBe('upstream_interrupted')
})

test('[HST-6] parts and text of one message are folded into parts', () => {
  const fold = new StreamFold()
  const deltas = [
    { role: 'assistant', content: '' },
    { content: [{ type: 'thinking', thinking: [{ type: 'text', text: 'Hm.' }] }] },
    { content: 'Hello' },
    { content: ' there' },
    { content: [{ type: 'text', text: '.' }] },
  ]
  for (const delta of deltas) fold.add(new TextEncoder().encode(frame({ choices: [{ index: 0, delta }] })))
  expect(fold.result()).toMatchObject({
    choices: [
      {
        message: {
          content: [
            { type: 'thinking', thinking: [{ type: 'text', text: 'Hm.' }] },
            { type: 'text', text: 'Hello there' },
            { type: 'text', text: '.' },
          ],
        },
      },
    ],
  })
})

test('[HST-8] lists of vectors are not encoded', async () => {
  const vectors = [
    [0.25, 0.5],
    [0.75, 1],
  ]
  await using on = await startRelay([embeddingsReply([vectors as unknown as number[]])])
  const response = await on.post('/v1/embeddings', { model: 'up/m', input: 'x', encoding_format: 'base64' })
  expect(((await response.json()) as { data: { embedding: unknown }[] }).data[0]!.embedding).toEqual(vectors)
})

test('[HST-8] embeddings whose data is not a list are a 502', async () => {
  for (const data of [null, {}]) {
    await using on = await startRelay([jsonReply({ object: 'list', data, usage: { prompt_tokens: 1, total_tokens: 1 } })])
    expect((await on.post('/v1/embeddings', { model: 'up/m', input: 'x' })).status).toBe(502)
  }
})
