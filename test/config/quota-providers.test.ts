import { expect, test } from 'bun:test'
import { issuesOf, load, warnings } from './loading.ts'

const file = (quota: string) =>
  `version: 2
providers:
  inference:
    - { provider_id: sample, provider_type: remote::sample }
    - { provider_id: "\${env.GONE:+other}", provider_type: remote::sample }
server:
  quota: ${quota}
`
const limit = (providers: string) => file(`{ limits: [{ requests: 1, period: day, providers: ${providers} }] }`)
const price = (provider: string) => file(`{ prices: [{ provider: ${provider}, model: "*", input_per_million: 1 }] }`)
const places = async (text: string, options?: { strict: boolean }) => {
  const issues = await issuesOf(text, options)
  return issues.map(({ path, line, nearest }) => [path, line, nearest])
}

const reported = (path: string) => expect.stringContaining(`server.quota.${path}: unknown provider 'groq': ignored.`)

test('an unknown provider in a limit or a price is reported', async () => {
  expect(await warnings(limit('[sample, groq]'))).toEqual([reported('limits[0].providers[1]')])
  expect(await warnings(limit('groq'))).toEqual([reported('limits[0].providers')])
  expect(await warnings(price('groq'))).toEqual([reported('prices[0].provider')])
  expect(await warnings(limit('sample'))).toEqual([])
})

test('it is an error under --strict, and where it is a slip', async () => {
  expect(await places(limit('groq'), { strict: true })).toEqual([['server.quota.limits[0].providers', 7, undefined]])
  expect(await places(limit('[smaple]'))).toEqual([['server.quota.limits[0].providers[0]', 7, 'sample']])
  expect(await places(price('sampl'))).toEqual([['server.quota.prices[0].provider', 7, 'sample']])
})

test('one that is switched off is no slip', async () => {
  const { warnings: found } = await load(limit('[sample, other]'), { strict: true })
  expect(found.map(({ message }) => message)).toEqual([expect.stringContaining("the provider 'other' is switched off")])
})

const named = (...names: string[]) => file(`{ limits: [${names.map((name) => `{ name: ${name}, requests: 1, period: day }`).join(', ')}] }`)

test('two limits of one name are reported', async () => {
  expect(await warnings(named('burst', 'other', 'burst'))).toEqual([
    expect.stringContaining("server.quota.limits[2].name: another limit has the name 'burst'"),
  ])
  expect(await warnings(named('burst', 'other'))).toEqual([])
})

test.each([
  ['{ limits: [{ requests: 1.5, period: day }] }', 'limits[0].requests', 'must be a whole number'],
  ['{ limits: [{ requests: 1e300, period: day }] }', 'limits[0].requests', 'must be at most 9007199254740991'],
  ['{ anonymous_max_requests: 1.5 }', 'anonymous_max_requests', 'must be a whole number'],
  ['{ limits: [{ per: [user, user], requests: 1, period: day }] }', 'limits[0].per', 'repeats user'],
  [
    '{ limits: [{ per: [global, user], requests: 1, period: day }] }',
    'limits[0].per',
    "'global' counts everything together and cannot be combined",
  ],
  ...['kvstore', 'store'].map((key) => [
    `{ ${key}: { type: redis, host: h, port: 6379 } }`,
    `${key}.type`,
    "must be sqlite; for another database name a backend of storage.backends, e.g. 'backend: redis'",
  ]),
])('%s says what is wrong', async (quota, path, message) => {
  const issues = await issuesOf(file(quota))
  expect(issues.map((issue) => [issue.path, issue.message])).toEqual([[`server.quota.${path}`, message]])
})
