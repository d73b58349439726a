import { afterEach, describe, expect, test } from 'bun:test'
import type { Limit } from '../../src/call.ts'
import { chatReply, embeddingsReply } from '../../src/testing/index.ts'
import { errorOf, governed, type Governed, type GovernedOptions, helloInput, limitsOf, noon, usage } from './quota-server.ts'

const open: AsyncDisposable[] = []
afterEach(async () => {
  for (const part of open.splice(0)) await part[Symbol.asyncDispose]()
})

/** Responses with `[input, output]` tokens. */
async function on(options: GovernedOptions, tokens: readonly [number, number] = [12, 8]): Promise<Governed> {
  const startQuotaServer = await governed(options)
  open.push(startQuotaServer)
  startQuotaServer.upstream.respond(() => chatReply('Hello there.', usage(...tokens)))
  return startQuotaServer
}

const key = (id: string, limits: readonly Limit[] = []) => ({ key: { id, limits } })
const callers = {
  alice: { attributes: { teams: ['red'], tier: ['gold'] } },
  bob: { attributes: { teams: ['red', 'blue'], tier: ['tin'] } },
  carol: { attributes: { teams: ['blue'] } },
  dave: { attributes: {}, ...key('key_d') },
}

/** How many of `count` sequential chats return 200. */
async function served(startQuotaServer: Governed, count: number, as?: string, fields: object = {}): Promise<number> {
  let found = 0
  for (let at = 0; at < count; at++) {
    const reply = await startQuotaServer.chat(fields, as === undefined ? {} : { as })
    await reply.text()
    if (reply.status === 200) found += 1
    else expect(reply.status).toBe(429)
  }
  return found
}

// A response takes 12 + 8 tokens and reserves 21 + 9; at $1 and $10 a million it costs 92 000 and reserves 111 000 billionths of a dollar.
const prices = [{ model: '*', input_per_million: 1, output_per_million: 10 }]
const units = {
  requests: { amount: 2, served: 2, left: undefined },
  input_tokens: { amount: 12 + 12 + helloInput, served: 3, left: String(12 + 12 + helloInput - 36) },
  output_tokens: { amount: 8 + 8 + 9, served: 3, left: '1' },
  total_tokens: { amount: 20 + 30, served: 2, left: '10' },
  dollars: { amount: 0.000_092 * 2 + 0.000_111, served: 3, left: undefined },
}
const periods = { second: 1000, minute: 60_000, hour: 3_600_000, day: 43_200_000, week: 43_200_000, month: Date.UTC(2026, 11, 1) - noon }

describe('every unit in every period: served as long as the worst case has room, again once the period is over', () => {
  for (const [unit, { amount, served: max }] of Object.entries(units)) {
    for (const [period, length] of Object.entries(periods)) {
      test(`[QUO-45] ${unit} a ${period}`, async () => {
        const limits = [{ models: '*', [unit]: amount, period }]
        const startQuotaServer = await on({ quota: { limits, prices }, callers })
        expect(await served(startQuotaServer, max + 2, 'alice')).toBe(max)
        startQuotaServer.now += length - 1
        expect(await served(startQuotaServer, 1, 'alice')).toBe(0)
        startQuotaServer.now += 1
        expect(await served(startQuotaServer, max + 1, 'alice')).toBe(max)
        expect(startQuotaServer.upstream.requests.filter(({ method }) => method === 'POST')).toHaveLength(2 * max)
      })
    }
  }
})

const twice = (limit: object) => ({ limits: [{ requests: 2, period: 'day', models: '*', ...limit }] })

describe('every subject', () => {
  test('[QUO-33] global: all together', async () => {
    const startQuotaServer = await on({ quota: twice({ per: 'global' }), callers })
    expect([
      await served(startQuotaServer, 1, 'alice'),
      await served(startQuotaServer, 1, 'bob'),
      await served(startQuotaServer, 1, 'carol'),
    ]).toEqual([1, 1, 0])
  })

  test('[QUO-33] user', async () => {
    const startQuotaServer = await on({ quota: twice({}), callers })
    expect([await served(startQuotaServer, 3, 'alice'), await served(startQuotaServer, 3, 'bob')]).toEqual([2, 2])
  })

  test('[QUO-33] key: each by itself, also of one user; who has none counts as a user', async () => {
    const another = { id: 'dave', attributes: {}, ...key('key_e') }
    const startQuotaServer = await on({ quota: twice({ per: 'key' }), callers: { ...callers, another } })
    expect([
      await served(startQuotaServer, 3, 'dave'),
      await served(startQuotaServer, 3, 'another'),
      await served(startQuotaServer, 3, 'alice'),
    ]).toEqual([2, 2, 2])
  })

  test('[QUO-33] team: members share it; who is in two takes from both', async () => {
    const startQuotaServer = await on({ quota: twice({ per: 'team' }), callers })
    expect(await served(startQuotaServer, 1, 'bob')).toBe(1)
    expect([
      await served(startQuotaServer, 2, 'alice'),
      await served(startQuotaServer, 2, 'carol'),
      await served(startQuotaServer, 1, 'bob'),
    ]).toEqual([1, 1, 0])
  })

  test('[QUO-33] team: all who have none share one', async () => {
    const startQuotaServer = await on({ quota: twice({ per: 'team' }), callers: { ...callers, erin: { attributes: {} } } })
    expect([await served(startQuotaServer, 2, 'dave'), await served(startQuotaServer, 1, 'erin')]).toEqual([2, 0])
  })

  test('[QUO-33] attribute', async () => {
    const startQuotaServer = await on({
      quota: twice({ per: 'attribute:tier' }),
      callers: { ...callers, erin: { attributes: { tier: ['gold'] } } },
    })
    expect([
      await served(startQuotaServer, 1, 'alice'),
      await served(startQuotaServer, 2, 'erin'),
      await served(startQuotaServer, 1, 'bob'),
    ]).toEqual([1, 1, 1])
  })

  test('[QUO-33] model and provider, however the model is spelt', async () => {
    const startQuotaServer = await on({ quota: twice({ per: ['user', 'model'] }), callers, providers: ['up', 'other'] })
    expect(await served(startQuotaServer, 3, 'alice', { model: 'up/m' })).toBe(2)
    expect(await served(startQuotaServer, 3, 'alice', { model: 'up/n' })).toBe(2)
    const byProvider = await on({ quota: twice({ per: 'provider' }), callers, providers: ['up', 'other'] })
    expect(await served(byProvider, 1, 'alice', { model: 'up/m' })).toBe(1)
    expect(await served(byProvider, 2, 'bob', { model: 'up/n' })).toBe(1)
    expect(await served(byProvider, 1, 'bob', { model: 'other/n' })).toBe(1)
  })

  test('[QUO-33] address: for every principal', async () => {
    const startQuotaServer = await on({ quota: twice({ per: 'address' }), callers })
    expect([await served(startQuotaServer, 1, 'alice'), await served(startQuotaServer, 2, 'bob')]).toEqual([1, 1])
  })

  test('[QUO-33] without authentication a user is an address', async () => {
    const startQuotaServer = await on({ quota: twice({}) })
    expect(await served(startQuotaServer, 3)).toBe(2)
  })
})

describe('which requests a limit concerns', () => {
  test('[QUO-46] conditions of the policy language', async () => {
    const limits = [
      { requests: 1, period: 'day', when: 'user with gold not in tier' },
      { requests: 3, period: 'day', when: ['user with gold in tier', 'user with red in teams'] },
    ]
    const startQuotaServer = await on({ quota: { limits }, callers })
    expect([
      await served(startQuotaServer, 4, 'alice'),
      await served(startQuotaServer, 4, 'bob'),
      await served(startQuotaServer, 2, 'carol'),
    ]).toEqual([3, 1, 1])
  })

  test('[QUO-46] models and providers by pattern', async () => {
    const limits = [
      { requests: 1, period: 'day', models: ['up/big-*', '*-ultra'] },
      { requests: 1, period: 'day', providers: 'other' },
    ]
    const startQuotaServer = await on({ quota: { limits }, callers, providers: ['up', 'other'] })
    expect(await served(startQuotaServer, 2, 'alice', { model: 'up/big-1' })).toBe(1)
    expect(await served(startQuotaServer, 1, 'alice', { model: 'up/x-ultra' })).toBe(0)
    expect(await served(startQuotaServer, 2, 'alice', { model: 'other/m' })).toBe(1)
    expect(await served(startQuotaServer, 3, 'alice', { model: 'up/small' })).toBe(3)
  })

  test('all limits that apply must have room; the one that has none takes nothing from the others', async () => {
    const limits = [
      { name: 'many', requests: 5, period: 'day', models: '*' },
      { name: 'few', total_tokens: 35, period: 'minute' },
    ]
    const startQuotaServer = await on({ quota: { limits }, callers })
    expect(await served(startQuotaServer, 4, 'alice')).toBe(1)
    const reply = await startQuotaServer.chat({}, { as: 'alice' })
    expect((await errorOf(reply)).message).toContain("'few' (35 tokens a minute for each user)")
    expect(limitsOf(reply)).toMatchObject({ 'remaining-requests': '4', 'remaining-tokens': '15' })
  })

  test('[QUO-47] the limits of the key hold beside those of the configuration', async () => {
    const limits: Limit[] = [
      { period: 'day', requests: 3 },
      { period: 'minute', outputTokens: 8 + 9 },
      { period: 'month', dollars: 1 },
    ]
    const startQuotaServer = await on({
      quota: { prices },
      callers: { erin: { attributes: {}, ...key('key_e', limits) }, frank: { attributes: {} } },
    })
    expect(await served(startQuotaServer, 4, 'erin')).toBe(2)
    startQuotaServer.now += 60_000
    expect(await served(startQuotaServer, 2, 'erin')).toBe(1)
    expect(await served(startQuotaServer, 4, 'frank')).toBe(4)
  })
})

test('[QUO-47] a user or key that comes back with other attributes or limits has the limits of those', async () => {
  const changing: Record<string, { attributes: Record<string, string[]>; key?: { id: string; limits: readonly Limit[] } }> = {
    gina: { attributes: {} },
    hal: { attributes: {}, ...key('key_h') },
  }
  const limits = [
    { requests: 1, period: 'day', when: 'user with gold not in tier' },
    { requests: 3, period: 'day', when: 'user with gold in tier' },
  ]
  const startQuotaServer = await on({ quota: { limits }, callers: changing })
  expect(await served(startQuotaServer, 2, 'gina')).toBe(1)
  changing['gina'] = { attributes: { tier: ['gold'] } }
  expect(await served(startQuotaServer, 4, 'gina')).toBe(3)
  changing['hal'] = { attributes: { tier: ['gold'] }, ...key('key_h', [{ period: 'day', requests: 2 }]) }
  expect(await served(startQuotaServer, 4, 'hal')).toBe(2)
})

describe('what is set aside', () => {
  test('[QUO-40] max_tokens for each requested choice, else the default', async () => {
    const limits = [{ output_tokens: 100, period: 'minute' }]
    const startQuotaServer = await on({ quota: { limits, default_max_tokens: 50 }, callers })
    expect((await startQuotaServer.chat({ max_tokens: 60, n: 2 }, { as: 'alice' })).status).toBe(429)
    expect((await startQuotaServer.chat({ max_tokens: 50, n: 2 }, { as: 'alice' })).status).toBe(200)
    const unsaid = await startQuotaServer.chat({ max_tokens: undefined }, { as: 'bob' })
    expect([unsaid.status, limitsOf(unsaid)]).toEqual([200, { 'limit-tokens': '100', 'remaining-tokens': '50', 'reset-tokens': '1m0s' }])
  })

  test('[QUO-40] a refusal caused by an omitted maximum says so', async () => {
    const startQuotaServer = await on({ quota: { limits: [{ output_tokens: 100, period: 'minute' }] }, callers })
    const reply = await startQuotaServer.chat({ max_tokens: undefined }, { as: 'alice' })
    const { message, code } = await errorOf(reply)
    expect(code).toBe('insufficient_quota')
    expect(message).toContain('may take up to 4096 output tokens')
    expect(message).toContain('Set max_tokens to reserve less')
    expect(startQuotaServer.upstream.requests.filter(({ method }) => method === 'POST')).toHaveLength(0)
  })

  test('numbers beyond any response are refused, and nothing breaks', async () => {
    const quota = { limits: [{ total_tokens: 1000, dollars: 1, period: 'day' }], prices }
    const startQuotaServer = await on({ quota, callers })
    for (const fields of [{ max_tokens: 1e300 }, { n: 1e15 }, { max_tokens: Number.MAX_SAFE_INTEGER, n: 128 }]) {
      const reply = await startQuotaServer.chat(fields, { as: 'alice' })
      expect([reply.status, (await errorOf(reply)).code]).toEqual([429, 'insufficient_quota'])
    }
  })

  test('embeddings take input only', async () => {
    const startQuotaServer = await on({ quota: { limits: [{ total_tokens: 20, period: 'minute' }] }, callers })
    startQuotaServer.upstream.respond(() => embeddingsReply())
    const embed = () =>
      startQuotaServer.ask('/v1/embeddings', {
        method: 'POST',
        as: 'alice',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ model: 'up/e', input: 'hello' }),
      })
    const first = await embed()
    expect([first.status, limitsOf(first)['remaining-tokens']]).toEqual([200, '7'])
    expect(limitsOf(await embed())['remaining-tokens']).toBe('3')
  })

  test('[QUO-48] a reservation is settled to what the provider says: what was too much is there again', async () => {
    const startQuotaServer = await on({ quota: { limits: [{ total_tokens: 100, period: 'minute' }] }, callers })
    const left: string[] = []
    for (let at = 0; at < 4; at++) left.push(limitsOf(await startQuotaServer.chat({}, { as: 'alice' }))['remaining-tokens'] ?? '')
    expect(left).toEqual(['70', '50', '30', '10'])
  })

  test('[QUO-48] what was more than reserved counts as well: the next ones wait', async () => {
    const startQuotaServer = await on({ quota: { limits: [{ total_tokens: 100, period: 'minute' }] }, callers }, [60, 90])
    expect(await served(startQuotaServer, 3, 'alice')).toBe(1)
    startQuotaServer.now += 60_000
    expect(await served(startQuotaServer, 3, 'alice')).toBe(1)
  })
})

const reported = () => chatReply('x', usage(10, 1, { cost: 0.0123 }))

describe('dollars', () => {
  test('[QUO-54] what is used up ends the month, and what costs nothing goes on', async () => {
    const quota = {
      limits: [{ name: 'budget', dollars: 0.0002, period: 'month', per: 'team' }],
      prices: [{ model: 'up/free', input_per_million: 0, output_per_million: 0 }, ...prices],
    }
    const startQuotaServer = await on({ quota, callers })
    expect(await served(startQuotaServer, 3, 'alice')).toBe(1)
    const reply = await startQuotaServer.chat({}, { as: 'bob' })
    expect([reply.status, reply.headers.get('retry-after'), reply.headers.get('x-should-retry')]).toEqual([429, null, 'false'])
    expect(await errorOf(reply)).toMatchObject({
      code: 'insufficient_quota',
      message: "Quota exceeded: 'budget' ($0.0002 a month for each team). Resets at 2026-12-01T00:00:00Z.",
    })
    expect(await served(startQuotaServer, 3, 'alice', { model: 'up/free' })).toBe(3)
  })

  test('[QUO-54] a model without a price is refused, with the remedy, and no provider is asked', async () => {
    const startQuotaServer = await on({ quota: { limits: [{ dollars: 1, period: 'day' }] }, callers })
    const reply = await startQuotaServer.chat({}, { as: 'alice' })
    expect([reply.status, reply.headers.get('x-should-retry')]).toEqual([429, 'false'])
    const { code, message } = await errorOf(reply)
    expect(code).toBe('model_not_priced')
    expect(message).toContain('server.quota.prices')
    expect(message).toContain('unpriced: allow')
    expect(startQuotaServer.upstream.requests.filter(({ method }) => method === 'POST')).toHaveLength(0)
  })

  test('[QUO-54] unless the operator lets it pass', async () => {
    const startQuotaServer = await on({ quota: { limits: [{ dollars: 1, period: 'day' }], unpriced: 'allow' }, callers })
    expect(await served(startQuotaServer, 2, 'alice')).toBe(2)
    expect(startQuotaServer.lines.map((line) => line.cost_nano_dollars)).toEqual([null, null])
  })

  test('[QUO-54] which counts what the provider reports, and ends with the budget', async () => {
    const quota = { limits: [{ dollars: 0.02, period: 'day' }], unpriced: 'allow' }
    const startQuotaServer = await on({ quota, callers, pricing: { reportsCost: true } })
    startQuotaServer.upstream.respond(reported)
    expect(await served(startQuotaServer, 4, 'alice')).toBe(2)
  })

  test('[QUO-54] the catalogue’s prices', async () => {
    const startQuotaServer = await on(
      { quota: { limits: [{ dollars: 1, period: 'day' }] }, callers, pricing: { catalogue: 'openai' } },
      [1000, 100],
    )
    expect(await served(startQuotaServer, 1, 'alice', { model: 'up/gpt-4o-mini' })).toBe(1)
    expect(startQuotaServer.lines).toMatchObject([{ cost_nano_dollars: 1000 * 150 + 100 * 600, model: 'up/gpt-4o-mini' }])
  })

  test('[QUO-55] what the provider itself charges goes before the catalogue, where it is known to say so', async () => {
    const quota = { limits: [{ dollars: 1, period: 'day' }] }
    const startQuotaServer = await on({ quota, callers, pricing: { catalogue: 'openai', reportsCost: true } })
    startQuotaServer.upstream.respond(reported)
    await startQuotaServer.chat({ model: 'up/gpt-4o' }, { as: 'alice' })
    const other = await on({ quota, callers, pricing: { catalogue: 'openai' } })
    other.upstream.respond(reported)
    await other.chat({ model: 'up/gpt-4o' }, { as: 'alice' })
    expect([...startQuotaServer.lines, ...other.lines].map((line) => line.cost_nano_dollars)).toEqual([12_300_000, 35_000])
  })
})
