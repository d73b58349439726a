import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import type { Counter, CounterStatus } from '../../src/quota/counters.ts'
import { formatReset, pushTightest } from '../../src/quota/governance-headers.ts'
import { formatAmount, countersOf, compileLimits, networkOf, subjectsOf } from '../../src/quota/governance-limits.ts'
import { quotaExceeded } from '../../src/quota/governance-refusal.ts'
import { compileWildcard } from '../../src/quota/patterns.ts'
import { quotaSchema, toQuotaConfig } from '../../src/quota/schema.ts'
import { runs } from '../../src/testing/sizes.ts'

const counter = (over: Partial<Counter> = {}): Counter => ({
  id: 'c',
  unit: 'requests',
  limit: 10,
  period: 'minute',
  label: '10 requests a minute',
  ...over,
})
const now = Date.UTC(2026, 10, 22, 12)
const reported = (over: Partial<Counter>, retryAfter: number, { exceedsLimit = false, demand = 1, reset = retryAfter } = {}) => {
  const of = counter(over)
  const { status, type, code, message, headers, retryable, denial } = quotaExceeded(
    { refused: of, retryAfter, exceedsLimit },
    { demands: [{ counter: of, amount: demand }], reset, now },
  )
  return { status, type, code, message, headers, retryable, denial }
}

const labelOf = (period: string) => {
  const limits = compileLimits(toQuotaConfig(quotaSchema.parse({ limits: [{ total_tokens: 1000, period }] })), () => () => true)
  return limits.flatMap((limit) => countersOf(limit, { principal: undefined, address: '::1' }, () => true, '')).map((one) => one.label)
}

const hint = (over: Partial<Counter>, facts: object) => {
  const of = counter({ unit: 'total_tokens', ...over })
  const refusal = { refused: of, retryAfter: 1, exceedsLimit: true }
  const { message } = quotaExceeded(refusal, { demands: [{ counter: of, amount: 11 }], reset: 1, now, ...facts })
  return message.slice(message.indexOf('minute.') + 8)
}

describe('[QUO-34] errors of refused requests', () => {
  test('more than the limit allows: what to send less of', () => {
    expect(hint({}, { limitField: 'max_tokens' })).toBe('Shorten the request or lower max_tokens.')
    expect(hint({}, { limitField: 'maxOutputTokens', omitsMaxTokens: true })).toBe('Set maxOutputTokens to reserve less.')
    expect(hint({}, {})).toBe('Shorten the request.')
    expect(hint({ unit: 'input_tokens' }, { limitField: 'max_tokens', omitsMaxTokens: true })).toBe('Shorten the request.')
  })

  test('a rate: when to come again', () => {
    expect(reported({}, 12_001)).toEqual({
      status: 429,
      type: 'rate_limit_error',
      code: 'rate_limit_exceeded',
      message: 'Quota exceeded: 10 requests a minute. Try again in 13 s.',
      headers: { 'retry-after': '13' },
      retryable: true,
      denial: { by: 'quota', reason: 'limit 10 requests a minute', limit: null },
    })
  })

  test('an hour, a minute', () => {
    expect(labelOf('hour')).toEqual(['1000 tokens an hour for each user'])
    expect(labelOf('minute')).toEqual(['1000 tokens a minute for each user'])
  })

  test('too many at once', () => {
    const { code, headers, message } = reported({ unit: 'slots', label: '2 requests at once' }, 300)
    expect([code, headers]).toEqual(['rate_limit_exceeded', { 'retry-after': '1' }])
    expect(message).toBe('Too many concurrent requests: 2 requests at once. Try again in 1 s.')
  })

  test.each([
    ['a day, however near its end', { period: 'day' }, 1000],
    ['a week', { period: 'week' }, 1000],
    ['a month', { period: 'month' }, 1000],
    ['dollars, whatever the period', { unit: 'nano_dollars', period: 'minute' }, 1000],
    ['a wait of more than a minute', { period: 'hour' }, 60_001],
  ] as const)('%s: the quota is used up, and no client tries again', (_, over, wait) => {
    const { status, code, headers, retryable, message } = reported(over, wait)
    expect([status, code, headers, retryable]).toEqual([429, 'insufficient_quota', {}, false])
    expect(message).toStartWith('Quota exceeded: 10 requests a minute. Resets at 2026-11-22T12:0')
  })

  test('an hour whose end is near: a rate', () => {
    expect(reported({ period: 'hour' }, 60_000).headers).toEqual({ 'retry-after': '60' })
  })

  test('what requests in flight hold may come back: no quota is used up, whatever the period', () => {
    const { code, headers, message } = reported({ unit: 'nano_dollars', period: 'month', label: '$1.00 a month' }, 1000, {
      reset: 86_400_000,
    })
    expect([code, headers]).toEqual(['rate_limit_exceeded', { 'retry-after': '1' }])
    expect(message).toBe('Quota temporarily exceeded: $1.00 a month. The remainder is reserved by requests in flight. Try again in 1 s.')
  })

  test('what no window could ever hold', () => {
    const { code, headers, retryable, message } = reported({ unit: 'total_tokens', limit: 100, label: '100 tokens a minute' }, 0, {
      exceedsLimit: true,
      demand: 5000,
    })
    expect([code, headers, retryable]).toEqual(['insufficient_quota', {}, false])
    expect(message).toStartWith(
      'Quota exceeded: this request may take up to 5000 tokens, which exceeds the whole limit: 100 tokens a minute.',
    )
  })
})

describe('[QUO-35] x-ratelimit headers', () => {
  test.each([
    [0, '0ms'],
    [12, '12ms'],
    [999.5, '1s'],
    [1000, '1s'],
    [59_001, '1m0s'],
    [360_000, '6m0s'],
    [86_399_000, '23h59m59s'],
    [86_400_000 * 30, '720h0m0s'],
  ])('%d ms is %s, as OpenAI writes it', (milliseconds, text) => {
    expect(formatReset(milliseconds)).toBe(text)
  })

  test('the tightest of each kind, also across two times of asking', () => {
    const standings: Record<string, CounterStatus> = {
      loose: { limit: 100, remaining: 60, reset: 1000 },
      tight: { limit: 10, remaining: 5, reset: 2000 },
      tightest: { limit: 7, remaining: 0, reset: 3000 },
    }
    const limiter = { status: ({ id }: Counter) => standings[id] as CounterStatus }
    const headers: string[] = []
    pushTightest(headers, 'requests', [counter({ id: 'loose' }), counter({ id: 'tight' })], limiter)
    const tight = ['x-ratelimit-limit-requests', '10', 'x-ratelimit-remaining-requests', '5', 'x-ratelimit-reset-requests', '2s']
    expect(headers).toEqual(tight)
    pushTightest(headers, 'requests', [counter({ id: 'loose' })], limiter)
    pushTightest(headers, 'tokens', [], limiter)
    expect(headers).toEqual(tight)
    pushTightest(headers, 'requests', [counter({ id: 'tightest' })], limiter)
    expect(headers).toEqual(['x-ratelimit-limit-requests', '7', 'x-ratelimit-remaining-requests', '0', 'x-ratelimit-reset-requests', '3s'])
  })

  test('what was used beyond the limit is shown as nothing left', () => {
    const headers: string[] = []
    pushTightest(headers, 'tokens', [counter()], { status: () => ({ limit: 10, remaining: -3, reset: 1 }) })
    expect(headers[3]).toBe('0')
  })
})

const compiled = (section: object) => compileLimits(toQuotaConfig(quotaSchema.parse(section)), () => () => true)

describe('[QUO-33] whom a limit counts together', () => {
  const alice = { id: 'alice', attributes: { teams: ['red', 'blue', 'red'], tier: ['gold'] } }
  const key = { ...alice, key: { id: 'key_1', limits: [] } }
  const address = '192.0.2.7'
  const target = { provider: 'up', model: 'up/m', upstreamModel: 'm' }

  test.each([
    ['global', ['global'], alice, ['["global"]']],
    ['user', ['user'], alice, ['["user:alice"]']],
    ['key', ['key'], key, ['["key:key_1"]']],
    ['a key’s user', ['user'], key, ['["user:alice"]']],
    ['key, without one', ['key'], alice, ['["user:alice"]']],
    ['user, without one', ['user'], undefined, ['["address:192.0.2.7"]']],
    ['every team', ['team'], alice, ['["teams=red"]', '["teams=blue"]']],
    ['any attribute', ['attribute:tier'], alice, ['["tier=gold"]']],
    ['no team', ['team'], { id: 'x', attributes: {} }, ['["no teams"]']],
    ['an attribute that every object has', ['attribute:constructor'], alice, ['["no constructor"]']],
    [
      'each combination',
      ['team', 'model', 'provider'],
      alice,
      ['["teams=red","model:up/m","provider:up"]', '["teams=blue","model:up/m","provider:up"]'],
    ],
  ] as const)('%s', (_, per, principal, subjects) => {
    expect(subjectsOf(per, { principal, address, target })).toEqual([...subjects])
  })

  test.each([
    ['192.0.2.7', '192.0.2.7'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:DB8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ])('the address %s counts as %s', (from, network) => {
    expect(networkOf(from)).toBe(network)
  })

  const idsOf = (section: object, principal = alice, namespace = '') =>
    compiled(section)
      .flatMap((limit) => countersOf(limit, { principal, address, target }, () => true, namespace))
      .map(({ id }) => id)

  test('[QUO-32] counters are hashes: of limit, subject and unit', () => {
    const ids = idsOf({ limits: [{ requests: 1, total_tokens: 2, dollars: 3, period: 'day' }] })
    expect(new Set(ids).size).toBe(3)
    for (const id of ids) expect(id).toMatch(/^[\w-]{43}$/)
    expect(idsOf({ limits: [{ requests: 1, total_tokens: 2, dollars: 3, period: 'day' }] })).toEqual(ids)
  })

  test('a limit that allows more or less from now on goes on counting; another one counts anew', () => {
    const [one] = idsOf({ limits: [{ requests: 1, period: 'day' }] })
    const same = { requests: 5, period: 'day' }
    expect(idsOf({ limits: [same] })).toEqual([one as string])
    for (const other of [
      { ...same, period: 'hour' },
      { ...same, per: 'key' },
      { ...same, name: 'n' },
      { ...same, models: 'a' },
      { ...same, when: 'user with a in b' },
    ]) {
      expect(idsOf({ limits: [other] })).not.toContain(one as string)
    }
    expect(idsOf({ limits: [same] }, alice, 'other server')).not.toContain(one as string)
    expect(idsOf({ limits: [same] }, { ...alice, id: 'bob' })).not.toContain(one as string)
  })

  test('two limits that say the same count apart', () => {
    expect(
      new Set(
        idsOf({
          limits: [
            { requests: 1, period: 'day' },
            { requests: 2, period: 'day' },
          ],
        }),
      ).size,
    ).toBe(2)
  })

  test('limits in words', () => {
    const limits = [
      { requests: 1, period: 'day' },
      { name: 'budget', dollars: 12.5, period: 'month', per: ['team', 'attribute:projects'] },
      { input_tokens: 10, period: 'second', per: 'global' },
      { concurrent_requests: 4, per: 'key' },
    ]
    expect(
      compiled({ limits })
        .flatMap((limit) => countersOf(limit, { principal: undefined, address }, () => true, ''))
        .map(({ label }) => label),
    ).toEqual([
      '1 request a day for each user',
      "'budget' ($12.50 a month for each team and value of projects)",
      '10 input tokens a second for all together',
      '4 requests at once for each key',
    ])
    expect([formatAmount('nano_dollars', 1), formatAmount('nano_dollars', 2e9), formatAmount('total_tokens', 1)]).toEqual([
      '$0.000000001',
      '$2.00',
      '1 token',
    ])
  })
})

test('patterns of models do as regular expressions would', () => {
  const letter = fc.constantFrom('a', 'b', '/', '.')
  const pattern = fc.array(fc.oneof(letter, fc.constant('*')), { maxLength: 7 }).map((parts) => parts.join(''))
  fc.assert(
    fc.property(pattern, fc.array(letter, { maxLength: 9 }), (written, letters) => {
      const text = letters.join('')
      const expression = new RegExp(`^${written.replaceAll('.', '\\.').replaceAll('*', '.*')}$`)
      return compileWildcard(written)(text) === expression.test(text)
    }),
    { numRuns: runs(10_000) },
  )
})
