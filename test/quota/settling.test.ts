import { afterEach, describe, expect, test } from 'bun:test'
import { chatChunk, chatFrames, chatReply, chatStream, errorReply, frame, type Script, stall } from '../../src/testing/index.ts'
import { governed, type Governed, helloInput, limitsOf, usage } from './quota-server.ts'

const open: AsyncDisposable[] = []
afterEach(async () => {
  for (const part of open.splice(0)) await part[Symbol.asyncDispose]()
})

const limit = 10_000
/** Of which `max_tokens` are 1000. */
const reserved = helloInput + 1000

async function on(script: Script, quota: object = {}): Promise<Governed> {
  const startQuotaServer = await governed({
    quota: {
      limits: [
        { total_tokens: limit, period: 'day', per: 'global' },
        { concurrent_requests: 3, per: 'global', models: '*' },
      ],
      ...quota,
    },
    callers: { alice: { attributes: {} } },
  })
  open.push(startQuotaServer)
  startQuotaServer.upstream.respond(() => script)
  return startQuotaServer
}

const chat = (startQuotaServer: Governed, fields: object = {}, init: RequestInit = {}) =>
  startQuotaServer.chat({ max_tokens: 1000, ...fields }, { as: 'alice', ...init })

/** Tokens that are taken of the limit now. */
async function taken(startQuotaServer: Governed): Promise<number> {
  // A request that can never fit takes nothing; the error says what is left.
  const reply = await startQuotaServer.chat({ max_tokens: limit + 1 }, { as: 'alice' })
  await reply.text()
  expect(reply.status).toBe(429)
  return limit - Number(limitsOf(reply)['remaining-tokens'])
}

async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await holds())) await new Promise((resolve) => setTimeout(resolve, 2))
}

/** Reads on in the background once `word` has come so many times. */
async function readUntil(reply: Response, word: string, times: number): Promise<void> {
  const reader = reply.body!.getReader()
  let text = ''
  while (text.split(word).length <= times) text += new TextDecoder().decode((await reader.read()).value)
  const readOn = async (): Promise<void> => {
    while (!(await reader.read()).done);
  }
  void readOn().catch(() => undefined)
}

/** All three places are free. */
async function nothingRuns(startQuotaServer: Governed): Promise<void> {
  startQuotaServer.upstream.respond(() => chatReply('x', usage(0, 0)))
  const all = await Promise.all([chat(startQuotaServer), chat(startQuotaServer), chat(startQuotaServer)])
  expect(all.map(({ status }) => status)).toEqual([200, 200, 200])
}

describe('settled to what was used', () => {
  test('[QUO-48] a JSON response', async () => {
    const startQuotaServer = await on(chatReply('x', usage(40, 60, { prompt_tokens_details: { cached_tokens: 30 } })))
    await (await chat(startQuotaServer)).text()
    expect(await taken(startQuotaServer)).toBe(100)
    expect(startQuotaServer.lines).toMatchObject([
      {
        outcome: 'completed',
        input_tokens: 40,
        output_tokens: 60,
        cached_input_tokens: 30,
        estimated: 0,
        capability: 'chat',
        principal: 'alice',
      },
    ])
    await nothingRuns(startQuotaServer)
  })

  test('[QUO-48] a provider that counts in parts of tokens: each number rounded up', async () => {
    const startQuotaServer = await on(chatReply('x', usage(40.2, 59.5)))
    await (await chat(startQuotaServer)).text()
    expect(await taken(startQuotaServer)).toBe(101)
    expect(startQuotaServer.lines).toMatchObject([{ input_tokens: 41, output_tokens: 60 }])
  })

  test('[QUO-48] a stream: its worst case until its end, then what its last chunk says, though the caller did not ask for it', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const [role, ...rest] = chatFrames()
    const startQuotaServer = await on({ body: [role as string, { until: promise }, ...rest] })
    const reply = await chat(startQuotaServer, { stream: true })
    expect(limitsOf(reply)).toMatchObject({ 'limit-tokens': String(limit), 'remaining-tokens': String(limit - reserved) })
    expect(await taken(startQuotaServer)).toBe(reserved)
    resolve()
    expect(await reply.text()).not.toContain('prompt_tokens')
    expect(await taken(startQuotaServer)).toBe(12)
    expect(startQuotaServer.lines).toMatchObject([{ outcome: 'completed', input_tokens: 9, output_tokens: 3, estimated: 0 }])
    await nothingRuns(startQuotaServer)
  })

  test('[QUO-48] a stream without usage: what came, marked as estimated', async () => {
    const words = Array.from({ length: 40 }, (_, at) => ` word${at}`)
    const startQuotaServer = await on({ body: chatFrames(words).filter((text) => !text.includes('prompt_tokens')) })
    await (await chat(startQuotaServer, { stream: true })).text()
    const [line] = startQuotaServer.lines
    expect(line).toMatchObject({ outcome: 'completed', estimated: 1 })
    // 40 words of 6 to 7 bytes.
    expect(line?.output_tokens).toBeWithin(40, 100)
    expect(line?.input_tokens).toBeWithin(1, helloInput)
    expect(await taken(startQuotaServer)).toBe((line?.input_tokens ?? 0) + (line?.output_tokens ?? 0))
  })

  test('[QUO-48] a stream of a few large frames without usage: by their bytes', async () => {
    const frames = [
      chatChunk({ role: 'assistant', content: '' }),
      chatChunk({ content: 'x'.repeat(4000) }),
      chatChunk({}, 'stop'),
      frame('[DONE]'),
    ]
    const startQuotaServer = await on({ body: frames })
    await (await chat(startQuotaServer, { stream: true })).text()
    expect(startQuotaServer.lines[0]?.output_tokens).toBeWithin(990, 1100)
  })

  test('[QUO-48] a JSON response without usage: by its text, marked as estimated', async () => {
    const startQuotaServer = await on(chatReply('x'.repeat(400), { usage: undefined }))
    await (await chat(startQuotaServer)).text()
    expect(startQuotaServer.lines).toMatchObject([{ outcome: 'completed', output_tokens: 100, estimated: 1 }])
  })

  test('[QUO-48] a caller that leaves in the middle of a stream pays for what came', async () => {
    const words = Array.from({ length: 20 }, () => ' word')
    const startQuotaServer = await on({ body: [...chatFrames(words).slice(0, 21), stall] })
    const leave = new AbortController()
    const reply = await chat(startQuotaServer, { stream: true }, { signal: leave.signal })
    await readUntil(reply, ' word', 20)
    expect(await taken(startQuotaServer)).toBe(reserved)
    leave.abort()
    await until(() => startQuotaServer.lines.length > 0)
    expect(startQuotaServer.lines).toMatchObject([{ outcome: 'cancelled', estimated: 1 }])
    expect(startQuotaServer.lines[0]?.output_tokens).toBeWithin(20, 50)
    expect(await taken(startQuotaServer)).toBe(
      (startQuotaServer.lines[0]?.input_tokens ?? 0) + (startQuotaServer.lines[0]?.output_tokens ?? 0),
    )
    await nothingRuns(startQuotaServer)
  })

  test('[QUO-48] a caller that leaves before anything came pays for its input, which the provider has read', async () => {
    const startQuotaServer = await on({ before: stall })
    const leave = new AbortController()
    const pending = chat(startQuotaServer, {}, { signal: leave.signal }).catch(() => undefined)
    await until(() => startQuotaServer.upstream.requests.some(({ method }) => method === 'POST'))
    leave.abort()
    await pending
    await until(() => startQuotaServer.lines.length > 0)
    expect(startQuotaServer.lines).toMatchObject([{ outcome: 'cancelled', output_tokens: 0, estimated: 1 }])
    expect(await taken(startQuotaServer)).toBe(startQuotaServer.lines[0]?.input_tokens as number)
    await nothingRuns(startQuotaServer)
  })

  test.each([
    ['an error of the provider', errorReply(500)],
    ['a refusal of the provider', errorReply(429)],
    ['invalid', { body: 'hello' }],
    ['a connection that breaks before the head', { raw: '', end: 'reset' as const }],
    ['a stream that is cut before it says anything', { body: [chatChunk({ role: 'assistant', content: '' })], end: 'cut' as const }],
    ['a stream that begins with an error', { body: [frame({ error: { message: 'no' } })] }],
  ])('%s: nothing was used, and all goes back', async (_, script: Script) => {
    const startQuotaServer = await on(script)
    await (await chat(startQuotaServer, { stream: 'body' in script && Array.isArray(script.body) })).text()
    expect(await taken(startQuotaServer)).toBe(0)
    expect(startQuotaServer.lines).toEqual([])
    await nothingRuns(startQuotaServer)
  })

  test.each([
    ['cut', 'truncated', [], 'cut' as const],
    ['failed by an error', 'failed', [frame({ error: { message: 'out of memory' } })], 'whole' as const],
  ])('a stream that is %s in its middle: what came', async (_, outcome, tail, end) => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const words = chatFrames(Array.from({ length: 20 }, () => ' word')).slice(0, 21)
    const startQuotaServer = await on({ body: [...words, { until: promise }, ...tail], end })
    const reply = await chat(startQuotaServer, { stream: true })
    await readUntil(reply, ' word', 20)
    resolve()
    await until(() => startQuotaServer.lines.length > 0)
    expect(startQuotaServer.lines).toMatchObject([{ outcome, estimated: 1 }])
    expect(startQuotaServer.lines[0]?.output_tokens).toBeWithin(20, 50)
    expect(await taken(startQuotaServer)).toBe(
      (startQuotaServer.lines[0]?.input_tokens ?? 0) + (startQuotaServer.lines[0]?.output_tokens ?? 0),
    )
    await nothingRuns(startQuotaServer)
  })

  test('[QUO-48] usage of an unfinished stream that is behind what came: what came', async () => {
    const early = chatChunk({ content: 'a' }, null, usage(50, 1))
    const { promise, resolve } = Promise.withResolvers<void>()
    const words = chatFrames(Array.from({ length: 30 }, () => ' word')).slice(1, 31)
    const startQuotaServer = await on({ body: [early, ...words, { until: promise }], end: 'cut' })
    await readUntil(await chat(startQuotaServer, { stream: true }), ' word', 30)
    resolve()
    await until(() => startQuotaServer.lines.length > 0)
    expect(startQuotaServer.lines).toMatchObject([{ outcome: 'truncated', input_tokens: 50, estimated: 1 }])
    expect(startQuotaServer.lines[0]?.output_tokens).toBeWithin(30, 80)
  })
})

describe('running requests', () => {
  test('[QUO-49] hold their place until a stream’s end, and leave it however that comes', async () => {
    const { promise, resolve } = Promise.withResolvers<void>()
    const [role, ...rest] = chatFrames()
    const quota = { limits: [{ concurrent_requests: 2, per: 'user' }] }
    const startQuotaServer = await on({ body: [role as string, { until: promise }, ...rest] }, quota)
    const leave = new AbortController()
    const one = await chat(startQuotaServer, { stream: true })
    const two = await chat(startQuotaServer, { stream: true }, { signal: leave.signal })
    const refused = await chat(startQuotaServer, { stream: true })
    expect([one.status, two.status, refused.status]).toEqual([200, 200, 429])
    expect([refused.headers.get('retry-after'), refused.headers.get('x-should-retry')]).toEqual(['1', null])
    expect(await refused.text()).toContain('Too many concurrent requests: 2 requests at once for each user.')
    leave.abort()
    await two.text().catch(() => undefined)
    await until(async () => (await startQuotaServer.ask('/v1/models', { as: 'alice' })).status === 200)
    resolve()
    await one.text()
    startQuotaServer.upstream.respond(() => chatStream())
    const both = await Promise.all([chat(startQuotaServer, { stream: true }), chat(startQuotaServer, { stream: true })])
    expect(both.map(({ status }) => status)).toEqual([200, 200])
  })

  test('[QUO-49] a route that fails leaves its place', async () => {
    const startQuotaServer = await on(chatReply(), { limits: [{ concurrent_requests: 1 }] })
    for (const path of ['/v1/nowhere', '/v1/models/absent', '/v1/chat/completions', '/v1/models']) {
      expect((await startQuotaServer.ask(path, { as: 'alice' })).status).not.toBe(429)
    }
  })
})
