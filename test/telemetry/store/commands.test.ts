import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openTraceStoreWriter } from '../../../src/telemetry/store/writer.ts'
import { inProcess, start } from '../../cli/corral.ts'
import { hex, noon, requestSpans, temporary } from './records.ts'

const head = `version: 2
image_name: test
providers:
  inference:
    - provider_id: up
      provider_type: remote::openai-compatible
      config:
        base_url: http://127.0.0.1:1/v1
`

const ample = { maxAge: 1e15, maxBytes: 1e9 }
let folder: string
let config: string
let path: string

beforeAll(async () => {
  folder = await temporary()
  config = join(folder, 'run.yaml')
  path = join(folder, 'traces.db')
  await writeFile(config, `${head}telemetry:\n  store:\n    path: ${path}\n    slow_ms: 5000\n`)
  const writer = await openTraceStoreWriter(path, ample, { now: () => noon })
  const alice = { principalId: 'alice', keyId: 'key_1' }
  await writer.write(requestSpans(0xa1, { owner: alice }))
  await writer.write([
    ...requestSpans(0xa2, { start: noon + 1_000, duration: 6_000, kept: 'slow', attributes: { 'corral.model': 'up/big' } }),
  ])
  await writer.write(failed)
  await writer.write(refused)
  await writer.close()
})
afterAll(() => rm(folder, { recursive: true }))

const failed = requestSpans(0xb1, {
  start: noon + 60_000,
  duration: 1_250,
  status: 502,
  owner: { principalId: 'bob' },
  attributes: {
    'client.address': '10.1.2.3',
    'user_agent.original': 'curl/8 \u001B[31mred\u001B[0m',
    'http.request.body.size': 87,
    'error.type': 'provider_error',
    'corral.error.message': "Provider 'groq' answered 500.",
    'corral.upstream.provider': 'groq',
    'corral.upstream.status_code': 500,
  },
  clientAttributes: {
    'gen_ai.operation.name': 'chat',
    'server.address': 'api.groq.com',
    'server.port': 443,
    'corral.outcome': 'failed',
    'corral.request.shape': '{model: text 5, messages: [1 × {role: text 4, content: text 2}]}',
    'corral.upstream.status_code': 500,
    'corral.upstream.body': '{"error":{"message":"key *** is no good"}}',
    'corral.error.message': "Provider 'groq' answered 500.",
  },
})
const refused = requestSpans(0xc1, {
  start: noon + 120_000,
  duration: 0.5,
  status: 403,
  owner: { principalId: 'bob' },
  attributes: {
    'error.type': 'access_denied',
    'corral.denied.by': 'access_policy',
    'corral.denied.reason': 'rule 2 forbids it',
    'corral.denied.action': 'read',
    'corral.denied.resource': 'model::groq/small',
  },
}).slice(0, 1)

const corral = (...words: string[]) => inProcess([...words, '--config', config], { env: { CORRAL_HOME: folder } })

describe('corral traces', () => {
  test('[TST-4] lists the latest first', async () => {
    const { code, stdout } = await corral('traces')
    expect(code).toBe(0)
    expect(stdout).toBe(`TIME                 TRACE         STATUS  DURATION  MODEL       PRINCIPAL    TOKENS  COST       REQUEST
2027-01-31 12:02:00  000000000000  403     500 µs    groq/small  bob          12+34   $0.000123  POST /v1/chat/completions (access_denied)
2027-01-31 12:01:00  000000000000  502     1.25 s    groq/small  bob          12+34   $0.000123  POST /v1/chat/completions (provider_error)
2027-01-31 12:00:01  000000000000  200     6.00 s    up/big      -            12+34   $0.000123  POST /v1/chat/completions (slow)
2027-01-31 12:00:00  000000000000  200     1.00 s    groq/small  alice key_1  12+34   $0.000123  POST /v1/chat/completions
`)
  })

  test.each([
    [['--failed'], ['req-193', 'req-177']],
    [['--slow'], ['req-162']],
    [['--key', 'key_1'], ['req-161']],
    [['--model', 'up/big'], ['req-162']],
    [['--provider', 'groq', '--limit', '1'], ['req-193']],
    [['--principal', 'bob', '--since', '2027-01-31T12:01:30Z'], ['req-193']],
    [['--request', 'req-161'], ['req-161']],
    [['--request', 'req'], []],
  ])('[TST-4] %j', async (filter, expected) => {
    const { code, stdout } = await corral('traces', '--json', ...filter)
    expect(code).toBe(0)
    const lines = stdout.split('\n').filter((line) => line !== '')
    expect(lines.map((line) => (JSON.parse(line) as { request_id: string }).request_id)).toEqual(expected)
  })

  test('[TST-4] says where there is nothing, and what is no time', async () => {
    expect(await corral('traces', '--model', 'none')).toMatchObject({ code: 0, stderr: 'No matching traces.\n' })
    expect(await corral('traces', '--since', 'soon')).toMatchObject({ code: 2 })
    const other = join(folder, 'other.yaml')
    await writeFile(other, `${head}telemetry:\n  store:\n    path: ${join(folder, 'none.db')}\n`)
    const { code, stderr } = await inProcess(['traces', '-c', other])
    expect([code, stderr]).toEqual([0, `No traces in ${join(folder, 'none.db')} yet.\n`])
    const off = join(folder, 'off.yaml')
    await writeFile(off, `${head}telemetry:\n  store:\n    enabled: false\n`)
    expect(await inProcess(['traces', '-c', off])).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('The trace store is disabled') as string,
    })
    await writeFile(join(folder, 'none.db'), 'no database '.repeat(100))
    expect(await inProcess(['traces', '-c', other])).toMatchObject({ code: 1, stderr: expect.stringContaining('cannot be read') as string })
  })
})

describe('corral traces show', () => {
  test('[TST-5] a request that a provider failed', async () => {
    const { code, stdout, stderr } = await corral('traces', 'show', 'req-177')
    expect([code, stderr]).toEqual([0, ''])
    expect(stdout).toBe(`trace ${hex(0xb1, 32)}  POST /v1/chat/completions
2027-01-31 12:01:00 UTC · 1.25 s · status 502 · request req-177 · by bob · stored because it failed

POST /v1/chat/completions     1.25 s  █████████████████████████████████████████
└─ chat small                 1.00 s      █████████████████████████████████

Request
  request  POST /v1/chat/completions
  from     10.1.2.3
  client   curl/8 �[31mred�[0m
  body     87 bytes
  shape    {model: text 5, messages: [1 × {role: text 4, content: text 2}]}
  model    groq/small

Request to groq
  operation   chat
  model       small
  to          api.groq.com:443
  sent after  125 ms

Reply from groq
  outcome  failed, after 1.00 s
  status   500
  body     {"error":{"message":"key *** is no good"}}
  error    Provider 'groq' answered 500.

Response
  status   502
  error    provider_error
  message  Provider 'groq' answered 500.
  cost     $0.000123
`)
  })

  test('[TST-5] a request that a rule refused, by the whole trace id', async () => {
    const { stdout } = await corral('traces', 'show', hex(0xc1, 32))
    expect(stdout).toContain(`Denied
  by        access_policy
  because   rule 2 forbids it
  action    read
  resource  model::groq/small
`)
  })

  test('[TST-5] a request among many of its trace', async () => {
    const own = join(folder, 'many.db')
    const file = join(folder, 'many.yaml')
    await writeFile(file, `${head}telemetry:\n  store:\n    path: ${own}\n`)
    const writer = await openTraceStoreWriter(own, ample, { now: () => noon })
    for (const number of [0xd1, 0xd2, 0xd3]) {
      await writer.write(requestSpans(number).map((span) => ({ ...span, traceId: hex(0xd0, 32) })))
    }
    await writer.close()
    const show = (id: string) => inProcess(['traces', 'show', id, '--config', file])
    const one = await show('req-210')
    expect(one.stdout.match(/request req-\d+/g)).toEqual(['request req-210'])
    expect(one.stderr).toContain(`The trace has 3 requests; show all with \`corral traces show ${hex(0xd0, 32)}\``)
    const all = await show(hex(0xd0, 32).slice(0, 30))
    expect([all.stdout.match(/request req-\d+/g)?.length, all.stderr]).toEqual([3, ''])
  })

  test('[TST-5] beginnings, where they mean one; JSON', async () => {
    const many = await corral('traces', 'show', '0000')
    expect(many.code).toBe(1)
    expect(many.stderr).toContain("'0000' matches several traces:")
    expect(many.stderr).toContain(`${hex(0xb1, 32)}  2027-01-31 12:01:00  req-177`)
    const none = await corral('traces', 'show', 'ffff')
    expect([none.code, none.stderr]).toEqual([1, expect.stringContaining('Trace not found: ffff.')])
    const { stdout } = await corral('traces', 'show', 'req-17', '--json')
    expect(JSON.parse(stdout)).toMatchObject({
      trace_id: hex(0xb1, 32),
      requests: [{ request_id: 'req-177', failed: true, duration_ms: 1250 }],
      spans: [{ name: 'POST /v1/chat/completions' }, { name: 'chat small', attributes: { 'corral.upstream.status_code': 500 } }],
    })
  })
})

test('[TST-4] corral traces tail shows the latest and follows', async () => {
  const other = join(folder, 'tail.yaml')
  const tailed = join(folder, 'tail.db')
  await writeFile(other, `${head}telemetry:\n  store:\n    path: ${tailed}\n`)
  const writer = await openTraceStoreWriter(tailed, ample, { now: () => noon })
  await writer.write([requestSpans(1, { status: 500 }), requestSpans(2)].flat())
  const child = start(['traces', 'tail', '--failed', '--json', '-c', other])
  const ended = new Promise<boolean>((resolve) => child.once('close', () => resolve(true)))
  let said = ''
  child.stdout.on('data', (bytes: Buffer) => (said += bytes.toString()))
  const heard = async (id: string) => {
    while (!said.includes(id)) {
      const isOver = await Promise.race([new Promise((resolve) => child.stdout.once('data', () => resolve(false))), ended])
      if (isOver) throw new Error(`it ended, having said: ${said}`)
    }
  }
  await heard('req-1')
  await writer.write([requestSpans(3), requestSpans(4, { status: 429 })].flat())
  await heard('req-4')
  await writer.close()
  child.kill('SIGINT')
  await ended
  expect([said.includes('req-2'), said.includes('req-3')]).toEqual([false, false])
}, 30_000)
