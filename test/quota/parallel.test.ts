import { afterEach, expect, test } from 'bun:test'
import OpenAI, { type APIError, RateLimitError } from 'openai'
import { chatFrames, chatReply, type Script } from '../../src/testing/index.ts'
import { governed, type Governed, type GovernedOptions, helloInput, usage } from './quota-server.ts'

const open: AsyncDisposable[] = []
afterEach(async () => {
  for (const part of open.splice(0)) await part[Symbol.asyncDispose]()
})
async function on(options: GovernedOptions, script: () => Script): Promise<Governed> {
  const startQuotaServer = await governed({ callers: { alice: { attributes: {} } }, ...options })
  open.push(startQuotaServer)
  startQuotaServer.upstream.respond(script)
  return startQuotaServer
}

test('[QUO-37] fifty streams at once near the limit: what is admitted never takes more than the limit, and all of it is reached', async () => {
  const max = 91
  const worst = helloInput + max
  const limit = worst * 17 + worst - 1
  const quota = { limits: [{ total_tokens: limit, period: 'day', per: 'global' }] }
  const { promise, resolve } = Promise.withResolvers<void>()
  const [role, ...rest] = chatFrames().filter((text) => !text.includes('"choices":[]'))
  // Each uses all that it may.
  const last = `data: ${JSON.stringify({ choices: [], ...usage(helloInput, max) })}\n\n`
  const startQuotaServer = await on({ quota }, () => ({
    body: [role as string, { until: promise }, ...rest.slice(0, -1), last, rest.at(-1) as string],
  }))
  const all = await Promise.all(Array.from({ length: 50 }, () => startQuotaServer.chat({ stream: true, max_tokens: max }, { as: 'alice' })))
  expect(all.filter(({ status }) => status === 200)).toHaveLength(17)
  const refused = all.filter(({ status }) => status === 429)
  expect(refused).toHaveLength(33)
  // The running ones may give something back: it is worth another try, though the limit is a day's.
  expect(new Set(refused.map(({ headers }) => headers.get('retry-after')))).toEqual(new Set(['1']))
  resolve()
  await Promise.all(all.map((reply) => reply.text()))
  const used = startQuotaServer.lines.reduce((sum, line) => sum + line.input_tokens + line.output_tokens, 0)
  expect(used).toBe(worst * 17)
  expect(used).toBeLessThanOrEqual(limit)
})

test('[QUO-37] fifty clients until nothing is left: the sum of all responses is at most the limit', async () => {
  const limit = 2000
  const quota = {
    limits: [
      { total_tokens: limit, period: 'day', per: 'global' },
      { dollars: 0.01, period: 'day', per: 'global' },
    ],
    prices: [{ model: '*', input_per_million: 5, output_per_million: 5 }],
  }
  let count = 0
  const startQuotaServer = await on({ quota }, () => chatReply('x', usage(1 + (count++ % helloInput), 1 + (count % 9))))
  let reported = 0
  const client = async (): Promise<void> => {
    for (;;) {
      const reply = await startQuotaServer.chat({}, { as: 'alice' })
      if (reply.status !== 200) {
        await reply.text()
        return
      }
      const { usage: said } = (await reply.json()) as { usage: { total_tokens: number } }
      reported += said.total_tokens
    }
  }
  await Promise.all(Array.from({ length: 50 }, client))
  expect(reported).toBeLessThanOrEqual(limit)
  expect(reported).toBeGreaterThan(limit - (helloInput + 9))
  expect(startQuotaServer.lines.reduce((sum, line) => sum + line.input_tokens + line.output_tokens, 0)).toBe(reported)
  expect(startQuotaServer.lines.reduce((sum, line) => sum + (line.cost_nano_dollars ?? 0), 0)).toBe(reported * 5000)
})

const official = (startQuotaServer: Governed): OpenAI =>
  new OpenAI({ apiKey: 'alice', baseURL: `${startQuotaServer.server.url}/v1`, maxRetries: 2 })
const ask = { model: 'up/m', max_tokens: 9, messages: [{ role: 'user' as const, content: 'hello' }] }

async function failureOf(work: Promise<unknown>): Promise<APIError> {
  try {
    await work
  } catch (error) {
    return error as APIError
  }
  throw new Error('it did not fail')
}

test('[QUO-56] OpenAI’s own client reads the headers, and gives up at once on a quota that is used up', async () => {
  let asked = 0
  const startQuotaServer = await on(
    {
      quota: {
        limits: [
          { requests: 2, period: 'day' },
          { total_tokens: 1000, period: 'minute' },
        ],
      },
    },
    () => chatReply('x', usage(12, 8)),
  )
  const counting = new OpenAI({
    apiKey: 'alice',
    baseURL: `${startQuotaServer.server.url}/v1`,
    maxRetries: 2,
    fetch: (url, init) => {
      asked += 1
      return fetch(url, init)
    },
  })
  const { data, response } = await counting.chat.completions.create(ask).withResponse()
  expect(data.choices[0]?.message.content).toBe('x')
  expect(response.headers.get('x-ratelimit-limit-requests')).toBe('2')
  expect(response.headers.get('x-ratelimit-remaining-requests')).toBe('1')
  expect(response.headers.get('x-ratelimit-limit-tokens')).toBe('1000')
  expect(response.headers.get('x-ratelimit-remaining-tokens')).toBe('970')
  expect(response.headers.get('x-ratelimit-reset-tokens')).toBe('1m0s')
  expect(response.headers.get('x-ratelimit-reset-requests')).toBe('12h0m0s')
  await counting.chat.completions.create(ask)
  asked = 0
  const failure = await failureOf(counting.chat.completions.create(ask))
  expect(failure).toBeInstanceOf(RateLimitError)
  expect([failure.status, failure.code, failure.type]).toEqual([429, 'insufficient_quota', 'rate_limit_error'])
  expect(asked).toBe(1)
})

test('[QUO-56] and comes again by itself where that helps', async () => {
  const startQuotaServer = await on({ quota: { limits: [{ requests: 1, period: 'second' }] } }, () => chatReply())
  const client = official(startQuotaServer)
  await client.chat.completions.create(ask)
  const again = client.chat.completions.create(ask)
  // It waits as long as the response says, by its own clock; meanwhile the second is over by the server's.
  startQuotaServer.now += 1000
  expect((await again).choices).toHaveLength(1)
})
