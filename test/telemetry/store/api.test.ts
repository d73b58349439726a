import { describe, expect, test } from 'bun:test'
import { LlamaStackClient } from 'llama-stack-client-seed'
import { hex, noon, requestSpans } from './records.ts'
import { type Person, traceServer, type TraceServer } from './server.ts'

const traces = '/v1alpha/telemetry/traces'
const ofAlice = { principalId: 'alice', attributes: { teams: ['a'] } }
const ofBob = { principalId: 'bob', attributes: { teams: ['b'] } }
const shared = hex(0xff, 32)

/** Alice's: 1, 2 and part of the shared one; Bob's: 4, 5 and the other part; without an owner: 7. */
const records = [
  requestSpans(1, { owner: ofAlice }),
  requestSpans(2, { owner: ofAlice, start: noon + 60_000, status: 502, duration: 500 }),
  requestSpans(3, { owner: ofAlice, start: noon + 70_000, traceId: shared }),
  requestSpans(4, { owner: ofBob, start: noon + 120_000 }),
  requestSpans(5, { owner: ofBob, start: noon + 130_000, attributes: { 'corral.model': 'up/big', 'gen_ai.usage.input_tokens': 100 } }),
  requestSpans(6, { owner: ofBob, start: noon + 140_000, traceId: shared }),
  requestSpans(7, { start: noon + 150_000, status: 401 }).slice(0, 1),
].flat()

const label = (model: string) => [
  { name: 'model_id', value: model },
  { name: 'provider_id', value: 'groq' },
]

const log = (server: TraceServer, who: Person, event: object) => server.ask(who, '/v1/telemetry/events', { event, ttl_seconds: 60 })
const recently = () => new Date(Date.now() - 1_000).toISOString()

interface Listed {
  readonly data: readonly { readonly trace_id: string }[]
}

async function idsFor(server: TraceServer, who: Person | undefined, query: object = {}): Promise<number[]> {
  const { status, body } = await server.ask(who, traces, query)
  expect(status).toBe(200)
  // Without requests of this test that failed.
  return (body as Listed).data.map(({ trace_id: id }) => Number.parseInt(id, 16)).filter((id) => id < 0x10_000)
}

describe('queries', () => {
  test('[TST-6] traces: order, offset, limit, filters', async () => {
    await using server = await traceServer({ records, authenticated: false })
    const all = (query: object) => idsFor(server, undefined, query)
    expect(await all({})).toEqual([7, 0xff, 5, 4, 2, 1])
    expect(await all({ order_by: ['start_time'] })).toEqual([1, 2, 0xff, 4, 5, 7])
    expect(await all({ limit: 2, offset: 1 })).toEqual([0xff, 5])
    const filter = (key: string, op: string, value: unknown) => all({ attribute_filters: [{ key, op, value }] })
    expect(await filter('http.response.status_code', 'gt', 400)).toEqual([7, 2])
    expect(await filter('http.response.status_code', 'eq', 502)).toEqual([2])
    expect(await filter('corral.model', 'eq', 'up/big')).toEqual([5])
    expect(await filter('gen_ai.usage.input_tokens', 'lt', 12)).toEqual([])
    expect(await filter('no.such', 'eq', 'x')).toEqual([])
    expect(await filter('no.such', 'ne', 'x')).toHaveLength(6)
    expect((await server.ask(undefined, traces, { order_by: ['name'] })).status).toBe(400)
    expect((await server.ask(undefined, traces, { attribute_filters: [{ key: 'a', op: 'like', value: 1 }] })).status).toBe(400)
  })

  test('[TST-6] a trace, a span, a tree, spans by attributes', async () => {
    await using server = await traceServer({ records, authenticated: false })
    expect(await server.ask(undefined, `${traces}/${hex(1, 32)}`)).toEqual({
      status: 200,
      body: {
        trace_id: hex(1, 32),
        root_span_id: hex(2, 16),
        start_time: '2027-01-31T12:00:00.000Z',
        end_time: '2027-01-31T12:00:01.000Z',
      },
    })
    expect(await server.ask(undefined, `${traces}/${hex(1, 32)}/spans/${hex(3, 16)}`)).toMatchObject({
      status: 200,
      body: { span_id: hex(3, 16), parent_span_id: hex(2, 16), name: 'chat small', attributes: { 'gen_ai.provider.name': 'groq' } },
    })
    const tree = (id: string, body: object) => server.ask(undefined, `/v1alpha/telemetry/spans/${id}/tree`, body)
    expect((await tree(hex(4, 16), { attributes_to_return: ['http.response.status_code'] })).body).toMatchObject({
      data: {
        [hex(4, 16)]: { status: 'error', attributes: { 'http.response.status_code': 502 } },
        [hex(5, 16)]: { status: 'error', parent_span_id: hex(4, 16), attributes: {} },
      },
    })
    expect(Object.keys(((await tree(hex(4, 16), { max_depth: 0 })).body as { data: object }).data)).toEqual([hex(4, 16)])
    const spans = await server.ask(undefined, '/v1alpha/telemetry/spans', {
      attribute_filters: [{ key: 'http.response.status_code', op: 'eq', value: 502 }],
      attributes_to_return: ['gen_ai.request.model'],
    })
    expect(spans.body).toMatchObject({ data: [{ span_id: hex(5, 16), attributes: { 'gen_ai.request.model': 'small' } }] })
    for (const path of [`${traces}/${hex(0xabc, 32)}`, `${traces}/${hex(1, 32)}/spans/${hex(0xabc, 16)}`]) {
      expect((await server.ask(undefined, path)).status).toBe(404)
    }
    expect((await tree(hex(0xabc, 16), {})).status).toBe(404)
  })

  test('[TST-6] metrics: sums by model, in steps, or for each request', async () => {
    await using server = await traceServer({ records, authenticated: false })
    const query = (name: string, body: object) =>
      server.ask(undefined, `/v1alpha/telemetry/metrics/${name}`, { start_time: noon / 1_000, query_type: 'instant', ...body })
    const at = noon / 1_000
    expect((await query('prompt_tokens', {})).body).toEqual({
      data: [
        { metric: 'prompt_tokens', labels: label('groq/small'), values: [{ timestamp: at, value: 72, unit: 'tokens' }] },
        { metric: 'prompt_tokens', labels: label('up/big'), values: [{ timestamp: at, value: 100, unit: 'tokens' }] },
      ],
    })
    const range = await query('total_tokens', {
      query_type: 'range',
      granularity: '1m',
      end_time: at + 130,
      label_matchers: [{ name: 'model_id', value: 'groq/small|other', operator: '=~' }],
    })
    expect(range.body).toEqual({
      data: [
        {
          metric: 'total_tokens',
          labels: label('groq/small'),
          values: [
            { timestamp: at, value: 46, unit: 'tokens' },
            { timestamp: at + 60, value: 92, unit: 'tokens' },
            { timestamp: at + 120, value: 46, unit: 'tokens' },
          ],
        },
      ],
    })
    expect((await query('requests', { query_type: 'range' })).body).toMatchObject({ data: [{ values: { length: 6 } }, {}] })
    expect((await query('invalid', {})).status).toBe(400)
    expect((await query('requests', { granularity: 'often', query_type: 'range' })).status).toBe(400)
    const greedy = { name: 'model_id', value: '(a+)+$', operator: '=~' }
    expect((await query('requests', { label_matchers: [greedy] })).status).toBe(400)
  })

  test('[TST-6] nothing kept yet, no store, a store that is broken', async () => {
    await using server = await traceServer()
    expect(await server.ask('alice', traces, {})).toEqual({ status: 200, body: { data: [] } })
    expect((await server.ask('alice', `${traces}/${hex(1, 32)}`)).status).toBe(404)
    await Bun.write(server.path, 'no database '.repeat(1_000))
    expect(await server.ask('alice', traces, {})).toMatchObject({ status: 503, body: { error: { code: 'trace_store_unavailable' } } })
  })
})

describe('who may read what', () => {
  test('[TST-7] without the scope nothing, without authentication everything', async () => {
    await using server = await traceServer({ records })
    for (const [path, body] of [
      [traces, {}],
      [`${traces}/${hex(1, 32)}`, undefined],
      [`${traces}/${hex(1, 32)}/spans/${hex(2, 16)}`, undefined],
      ['/v1alpha/telemetry/spans', { attribute_filters: [], attributes_to_return: [] }],
      [`/v1alpha/telemetry/spans/${hex(2, 16)}/tree`, {}],
      ['/v1alpha/telemetry/metrics/requests', { start_time: 0, query_type: 'instant' }],
    ] as const) {
      expect([path, await server.ask('unscoped', path, body)]).toMatchObject([
        path,
        { status: 403, body: { error: { code: 'missing_scope' } } },
      ])
      expect((await server.ask(undefined, path, body)).status).toBe(401)
    }
  })

  test('[TST-7] each sees its own and its team’s; what has no owner is visible to no user', async () => {
    await using server = await traceServer({ records })
    expect(await idsFor(server, 'alice')).toEqual([0xff, 2, 1])
    expect(await idsFor(server, 'anna')).toEqual([0xff, 2, 1])
    expect(await idsFor(server, 'bob')).toEqual([0xff, 5, 4])
    expect(await idsFor(server, 'admin')).toEqual([])
  })

  test('[TST-7] under one trace id each sees its own part', async () => {
    await using server = await traceServer({ records })
    const roots = async (who: Person) => ((await server.ask(who, `${traces}/${shared}`)).body as { root_span_id: string }).root_span_id
    expect([await roots('alice'), await roots('bob')]).toEqual([hex(6, 16), hex(12, 16)])
    expect((await server.ask('alice', `${traces}/${shared}/spans/${hex(12, 16)}`)).status).toBe(404)
    expect((await server.ask('bob', `${traces}/${shared}/spans/${hex(12, 16)}`)).status).toBe(200)
  })

  test('[TST-7] another’s cannot be distinguished from what does not exist', async () => {
    await using server = await traceServer({ records })
    const [absentTrace, absentSpan] = [hex(0xabc, 32), hex(0xabc, 16)]
    for (const [path, absent, body] of [
      [`${traces}/${hex(1, 32)}`, `${traces}/${absentTrace}`, undefined],
      [`${traces}/${hex(1, 32)}/spans/${hex(2, 16)}`, `${traces}/${absentTrace}/spans/${absentSpan}`, undefined],
      [`/v1alpha/telemetry/spans/${hex(2, 16)}/tree`, `/v1alpha/telemetry/spans/${absentSpan}/tree`, {}],
    ] as const) {
      const plain = ({ status, body: response }: { status: number; body: unknown }) =>
        `${status} ${JSON.stringify(response)}`
          .replaceAll(absentTrace, 'ID')
          .replaceAll(absentSpan, 'ID')
          .replaceAll(hex(1, 32), 'ID')
          .replaceAll(hex(2, 16), 'ID')
          .replaceAll(/"(request_id|trace_id)":"[^"]*"/g, '')
          .replaceAll(/\(?request[ _]id:? [\w-]+\)?|req[_-][\w-]+/gi, '')
      const [hers, nothing] = [await server.ask('bob', path, body), await server.ask('bob', absent, body)]
      expect(hers.status).toBe(404)
      expect(plain(hers)).toBe(plain(nothing))
    }
  })

  test('[TST-7] a rule of the policy opens all to whom it names', async () => {
    const own = { permit: { actions: ['read' as const], resource: 'trace::*' }, when: 'user is owner' }
    const all = { permit: { actions: ['read' as const], resource: 'trace::*' }, when: 'user with admin in roles' }
    await using server = await traceServer({ records, rules: [own, all] })
    expect(await idsFor(server, 'admin')).toEqual([7, 0xff, 5, 4, 2, 1])
    expect(await idsFor(server, 'anna')).toEqual([])
    expect(await idsFor(server, 'alice')).toEqual([0xff, 2, 1])
  })
})

describe('events that callers log', () => {
  const base = { trace_id: hex(0xe1, 32), span_id: hex(0xe2, 16), type: 'structured_log' }

  test('[TST-8] pieces become a span of the caller’s own, which others do not see', async () => {
    await using server = await traceServer()
    const timestamp = recently()
    const pieces = [
      { ...base, timestamp, attributes: { step: 1 }, payload: { type: 'span_start', name: 'my step' } },
      { ...base, timestamp, type: 'unstructured_log', message: 'half way', severity: 'info' },
      { ...base, timestamp, type: 'metric', metric: 'documents', value: 3, unit: '1' },
      { ...base, timestamp, payload: { type: 'span_end', status: 'error' } },
    ]
    for (const piece of pieces) expect(await log(server, 'alice', piece)).toEqual({ status: 200, body: null })
    const path = `/v1alpha/telemetry/spans/${base.span_id}/tree`
    const response = async (): Promise<unknown> => {
      for (;;) {
        const { status, body } = await server.ask('alice', path, {})
        if (status === 200 && JSON.stringify(body).includes('"error"')) return body
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
    }
    expect(await response()).toMatchObject({ data: { [base.span_id]: { name: 'my step', status: 'error', attributes: { step: 1 } } } })
    expect((await server.ask('bob', path, {})).status).toBe(404)
  })

  test('[TST-8] refuses what would outlive all others, what is too long, what is invalnse', async () => {
    await using server = await traceServer()
    const start = { ...base, payload: { type: 'span_start', name: 'x' } }
    expect((await log(server, 'alice', { ...start, timestamp: '2999-01-01T00:00:00Z' })).status).toBe(400)
    expect((await log(server, 'alice', { ...start, timestamp: 'soon' })).status).toBe(400)
    expect((await log(server, 'alice', { ...start, timestamp: recently(), trace_id: "x' --" })).status).toBe(400)
    expect((await log(server, 'alice', { ...start, timestamp: recently(), attributes: { a: 'x'.repeat(100_000) } })).status).toBe(413)
    expect((await log(server, 'alice', { ...start, timestamp: recently(), type: 'other' })).status).toBe(400)
  })
})

test('[TST-6] Llama Stack’s own client reads it, by the older paths', async () => {
  await using server = await traceServer({ records })
  const client = new LlamaStackClient({ baseURL: server.server.url, defaultHeaders: { authorization: 'Bearer alice' } })
  const listed = await client.telemetry.queryTraces({
    limit: 1,
    attribute_filters: [{ key: 'http.response.status_code', op: 'eq', value: 502 }],
  })
  expect(listed).toMatchObject([{ trace_id: hex(2, 32), root_span_id: hex(4, 16) }])
  expect(await client.telemetry.getTrace(hex(2, 32))).toMatchObject({ trace_id: hex(2, 32) })
  expect(await client.telemetry.getSpan(hex(2, 32), hex(5, 16))).toMatchObject({ name: 'chat small' })
  expect(Object.keys(await client.telemetry.getSpanTree(hex(4, 16), {}))).toEqual([hex(4, 16), hex(5, 16)])
  const spans = await client.telemetry.querySpans({ attribute_filters: [], attributes_to_return: ['http.route'] })
  expect(spans).toHaveLength(3)
  const sums = await client.telemetry.queryMetrics('completion_tokens', { start_time: noon / 1_000, query_type: 'instant' })
  expect(sums).toMatchObject([{ metric: 'completion_tokens', values: [{ value: 102 }] }])
  await client.telemetry.logEvent({
    event: {
      type: 'unstructured_log',
      trace_id: hex(0xe1, 32),
      span_id: hex(0xe2, 16),
      timestamp: new Date().toISOString(),
      message: 'x',
      severity: 'info',
    },
    ttl_seconds: 60,
  })
})
