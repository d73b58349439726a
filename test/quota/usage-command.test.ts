import { expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { openLedger } from '../../src/quota/ledger.ts'
import { systemClock } from '../../src/quota/limiter-clock.ts'
import { openDatabase } from '../../src/storage/open.ts'
import { inProcess, temporaryFolder } from '../cli/corral.ts'
import { quietEvents } from './quota-server.ts'

const day = 86_400_000
const first = Date.UTC(2026, 10, 1)

const line = (over: object) => ({
  request_id: 'r',
  key_id: null,
  principal: 'alice',
  attributes: '{"teams":["red"]}',
  provider: 'groq',
  model: 'groq/m',
  capability: 'chat',
  outcome: 'completed',
  input_tokens: 100,
  output_tokens: 10,
  cached_input_tokens: 5,
  reasoning_tokens: 2,
  estimated: 0,
  cost_nano_dollars: 1_234_567,
  ...over,
})

async function startQuotaServer(
  path: string,
  lines?: readonly ReturnType<typeof line>[],
): Promise<(words: string) => ReturnType<typeof inProcess>> {
  const file = join(path, 'run.yaml')
  writeFileSync(
    file,
    `version: 2\nproviders: {}\nstorage:\n  backends: { sql: { type: sql_sqlite, db_path: "${join(path, 'c.db')}" } }\n  stores: { metadata: null, inference: { backend: sql } }\n`,
  )
  let now = first
  await using database = await openDatabase({ engine: 'sqlite', path: join(path, 'c.db') })
  await using ledger = openLedger(database, { events: quietEvents, clock: { ...systemClock, now: () => now } })
  const usage = (words: string) => inProcess(['usage', '--config', file, ...words.split(' ').filter((word) => word !== '')])
  if (lines) {
    for (const one of lines) ledger.record(one)
    return usage
  }
  ledger.record(line({}))
  now += day
  ledger.record(line({ principal: 'bob, "the" builder', attributes: '{}', key_id: 'key_1', estimated: 1, cost_nano_dollars: null }))
  ledger.record(line({ principal: '=1+1', attributes: '{"teams":["red","blue"]}', cost_nano_dollars: 1 }))
  return usage
}

test('[QUO-57] corral usage: sums of the ledger as a table, as JSON and as CSV', async () => {
  using folder = temporaryFolder()
  const usage = await startQuotaServer(folder.path)
  const { stdout, stderr, code } = await usage('--by team')
  expect([code, stderr]).toEqual([0, ''])
  expect(stdout.split('\n').map((text) => text.split(/ {2,}/))).toEqual([
    ['TEAM', 'RESPONSES', 'INPUT', 'CACHED', 'OUTPUT', 'REASONING', 'COST', 'NOTES'],
    ['red', '1', '100', '5', '10', '2', '$0.001234567'],
    ['blue, red', '1', '100', '5', '10', '2', '$0.000000001'],
    ['(none)', '1', '100', '5', '10', '2', '$0.000000000', '1 estimated, 1 without a price'],
    ['total', '3', '300', '15', '30', '6', '$0.001234568', '1 estimated, 1 without a price'],
    [''],
  ])
  const json = JSON.parse((await usage('--json')).stdout) as { by: string; data: { of: string }[]; total: object }
  expect([json.by, json.data.map(({ of }) => of)]).toEqual(['user', ['alice', '=1+1', 'bob, "the" builder']])
  expect(json.total).toMatchObject({
    responses: 3,
    cost_nano_dollars: 1_234_568,
    cost_usd: 0.001_234_568,
    estimated_responses: 1,
    unpriced_responses: 1,
  })
  expect((await usage('--csv')).stdout.split('\r\n')).toEqual([
    'user,responses,input_tokens,output_tokens,cached_input_tokens,reasoning_tokens,cost_usd,estimated_responses,unpriced_responses',
    'alice,1,100,10,5,2,0.001234567,0,0',
    "'=1+1,1,100,10,5,2,0.000000001,0,0",
    '"bob, ""the"" builder",1,100,10,5,2,0.000000000,1,1',
    '',
  ])
})

test.each([
  [
    [1_234_567_890, 10_000_000],
    ['$1.23456789', '$0.01000000', '$1.24456789'],
  ],
  [
    [12_345_678_000, 2_000],
    ['$12.345678', '$0.000002', '$12.345680'],
  ],
])('[QUO-57] costs as printed add up, whatever their digits: %j', async (costs, printed) => {
  using folder = temporaryFolder()
  const usage = await startQuotaServer(
    folder.path,
    costs.map((cost, at) => line({ principal: `user ${at}`, cost_nano_dollars: cost })),
  )
  const { stdout } = await usage('')
  expect([...(stdout.match(/\$[\d.]+/g) ?? [])]).toEqual(printed)
})

test('[QUO-57] what callers name their models neither steers the terminal nor looks like a line of its own', async () => {
  using folder = temporaryFolder()
  const models = ['m/\u001b[2J\u001b[31mred', 'm/x\ntotal  0  0  0  0  0  $0', 'm/\u009b31m\u202eabc', `m/${'x'.repeat(5_000)}`]
  const usage = await startQuotaServer(
    folder.path,
    models.map((model, at) => line({ model, cost_nano_dollars: 100_000 - at * 1000 })),
  )
  const { stdout } = await usage('--by model')
  const lines = stdout.trimEnd().split('\n')
  expect(lines).toHaveLength(models.length + 2)
  expect(stdout.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}]/u)
  expect(lines.filter((one) => one.startsWith('total'))).toHaveLength(1)
  expect(Math.max(...lines.map(({ length }) => length))).toBeLessThan(200)
  const whole = JSON.parse((await usage('--by model --json')).stdout) as { data: { of: string }[] }
  expect(whole.data.map(({ of }) => of)).toEqual([...models.slice(0, 3), `m/${'x'.repeat(510)}…`])
})

test('corral usage of a time', async () => {
  using folder = temporaryFolder()
  const usage = await startQuotaServer(folder.path)
  const responses = async (words: string) =>
    (JSON.parse((await usage(`--json ${words}`)).stdout) as { total: { responses: number } }).total.responses
  expect(await responses('--since 2026-11-02')).toBe(2)
  expect(await responses('--until 2026-11-02T00:00')).toBe(1)
  expect(await responses('--since 2026-11-02T00:00:00.001Z')).toBe(0)
  expect(await responses('--since 0d')).toBe(0)
  expect(await responses('--since 99999w')).toBe(3)
  for (const time of ['yesterday', '12', '2026-13-01', '3x', '2026-11-02T8', '2026']) {
    const { code, stderr } = await usage(`--since ${time}`)
    expect([code, stderr]).toEqual([2, expect.stringContaining(`--since: invalid time '${time}'.`)])
  }
  expect((await usage('--json --csv')).code).toBe(2)
  expect((await usage('--by moon')).code).toBe(2)
})
