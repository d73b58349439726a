import { describe, expect, test } from 'bun:test'
import { quotaSchema, toQuotaConfig } from '../../src/quota/schema.ts'

const read = (section: unknown) => toQuotaConfig(quotaSchema.parse(section))
const complaints = (section: unknown): string[] =>
  quotaSchema.safeParse(section).error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? []

describe('server.quota of Llama Stack', () => {
  test('[QUO-30] with its defaults', () => {
    expect(read({ kvstore: { backend: 'kv' } })).toMatchObject({
      requests: { anonymous: 100, authenticated: 1000, period: 'day' },
      store: { backend: 'kv' },
      limits: [],
    })
  })

  test('[QUO-30] with its older, inline store', () => {
    expect(read({ kvstore: { type: 'sqlite', db_path: '/tmp/q.db', namespace: 'a' } })).toMatchObject({
      store: { path: '/tmp/q.db', namespace: 'a' },
    })
    expect(read({ kvstore: { db_path: '/tmp/q.db' } }).store).toEqual({ path: '/tmp/q.db' })
  })

  test('[QUO-30] one of its keys is enough, and any period will do', () => {
    expect(read({ anonymous_max_requests: 5 }).requests).toEqual({ anonymous: 5, authenticated: 1000, period: 'day' })
    expect(read({ authenticated_max_requests: 7, period: 'minute' }).requests).toEqual({
      anonymous: 100,
      authenticated: 7,
      period: 'minute',
    })
  })

  test('[QUO-30] an empty map is that quota with its defaults; nothing at all is none', () => {
    const defaults = { anonymous: 100, authenticated: 1000, period: 'day' }
    for (const empty of [{}, { limits: null }, { kvstore: null, period: null }]) expect(read(empty).requests).toEqual(defaults as never)
    for (const none of [{ limits: [] }, { prices: [] }, { ledger: true }]) expect(read(none).requests).toBeUndefined()
  })

  test('Corral’s own keys alone bring no quota of Llama Stack’s', () => {
    expect(read({ limits: [{ requests: 1, period: 'minute' }], store: { backend: 'b' } }).requests).toBeUndefined()
    expect(toQuotaConfig(undefined)).toEqual({ limits: [] })
    expect(toQuotaConfig(null)).toEqual({ limits: [] })
  })
})

describe('limits', () => {
  test('with all that they can say', () => {
    const limit = {
      name: 'team budget',
      per: ['team', 'attribute:projects'],
      when: 'user with admin not in roles',
      models: 'groq/*',
      providers: ['groq'],
      dollars: 2.5,
      concurrent_requests: 3,
      period: 'month',
    }
    expect(read({ limits: [limit] }).limits).toEqual([
      {
        name: 'team budget',
        per: ['team', 'attribute:projects'],
        when: ['user with admin not in roles'],
        models: ['groq/*'],
        providers: ['groq'],
        period: 'month',
        dollars: 2.5,
        concurrentRequests: 3,
        requests: undefined,
        inputTokens: undefined,
        outputTokens: undefined,
        totalTokens: undefined,
      },
    ])
  })

  test('are for each user where they do not say', () => {
    expect(read({ limits: [{ requests: 1, period: 'hour' }] }).limits).toMatchObject([{ per: ['user'], when: [] }])
  })

  test('of running requests alone need no period', () => {
    expect(complaints({ limits: [{ concurrent_requests: 2 }] })).toEqual([])
  })

  test.each([
    ['nothing is limited', { period: 'day' }, 'limits.0: sets no limit'],
    ['no period', { requests: 1 }, 'limits.0.period: requests needs a period'],
    ['no such period', { requests: 1, period: 'fortnight' }, 'limits.0.period'],
    ['no such subject', { requests: 1, period: 'day', per: 'tenant' }, 'limits.0.per'],
    ['a negative amount', { requests: -1, period: 'day' }, 'limits.0.requests: must not be negative'],
    ['half a request', { requests: 0.5, period: 'day' }, 'limits.0.requests: must be a whole number'],
    ['a condition that is none', { requests: 1, period: 'day', when: 'user is nice' }, 'limits.0.when: Invalid condition: user is nice'],
    [
      'a condition on an owner',
      { requests: 1, period: 'day', when: 'user is owner' },
      'limits.0.when: Invalid condition: user is owner (a limit',
    ],
    ['an unknown key', { requests: 1, period: 'day', model: 'x' }, 'limits.0'],
  ])('%s', (_, limit, message) => {
    const found = complaints({ limits: [limit] })
    expect(found.join('\n')).toContain(message)
  })

  test('store and kvstore are one', () => {
    expect(complaints({ kvstore: { backend: 'a' }, store: { backend: 'b' } })).toEqual([
      'store: store and kvstore are aliases: set only one of them',
    ])
  })
})

test('prices', () => {
  const prices = [{ model: 'own/*', input_per_million: 1, output_per_million: 2, cached_input_per_million: 0.1, per_request: 0.5 }]
  expect(read({ prices }).prices).toMatchObject([{ model: 'own/*', input: 1, output: 2, cachedInput: 0.1, request: 0.5 }])
  expect(complaints({ prices: [{ model: 'x', input_per_million: -1 }] })).toEqual(['prices.0.input_per_million: must not be negative'])
})

const least = (what: string) => `is below the smallest countable amount, ${what}`
const dollars = (amount: number) => complaints({ limits: [{ dollars: amount, period: 'day' }] })
const prices = (fields: object) => complaints({ prices: [{ model: 'x', input_per_million: 1, ...fields }] })

test('money that would count as nothing is refused with the smallest that counts', () => {
  expect(dollars(1e-10)).toEqual([`limits.0.dollars: ${least('0.000000001 US dollars')}`])
  expect([dollars(1e-9), dollars(0)]).toEqual([[], []])
  for (const name of ['input_per_million', 'output_per_million', 'cached_input_per_million', 'cache_write_per_million']) {
    expect(prices({ [name]: 1e-8 })).toEqual([`prices.0.${name}: ${least('0.000001 US dollars for a million tokens')}`])
    expect([prices({ [name]: 1e-6 }), prices({ [name]: 0 })]).toEqual([[], []])
  }
  expect(prices({ per_request: 1e-10 })).toEqual([`prices.0.per_request: ${least('0.000000001 US dollars')}`])
})
