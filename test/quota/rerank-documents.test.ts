import { expect, test } from 'bun:test'
import { vllm } from '../../src/providers/inference/vllm.ts'
import { jsonReply, providerEntry } from '../../src/testing/index.ts'
import { valuesOf } from '../telemetry/metrics/parse-text.ts'
import { measured, readUntil } from '../telemetry/metrics/stage.ts'
import { errorOf, governed, type Governed } from './quota-server.ts'

const paths = ['/v1/rerank', '/v2/rerank', '/rerank', '/v1alpha/inference/rerank']
const body = { model: 'up/m', query: 'q', documents: ['a', 'b'], items: ['a', 'b'] }
const prices = [{ model: '*', input_per_million: 1 }]
const provider = (id: string, url: string) => providerEntry(vllm, id, { base_url: `${url}/v1` })

const ask = (startQuotaServer: Governed, path: string, fields: object = {}): Promise<Response> =>
  startQuotaServer.ask(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer alice' },
    body: JSON.stringify({ ...body, ...fields }),
  })

const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
const callers = { alice: { attributes: {} } }
const ranking = (usage?: object) => jsonReply({ results: [{ index: 0, relevance_score: 1 }], ...(usage && { usage }) })

test('[VEN-11] each path is charged what the provider reports, and estimated where it reports nothing', async () => {
  await using startQuotaServer = await governed({ quota: { ledger: true, prices }, provider, callers })
  for (const path of paths) {
    startQuotaServer.upstream.respond(() => ranking({ total_tokens: 300 }))
    expect((await ask(startQuotaServer, path)).status).toBe(200)
    startQuotaServer.upstream.respond(() => ranking())
    expect((await ask(startQuotaServer, path)).status).toBe(200)
  }
  expect(startQuotaServer.lines).toHaveLength(8)
  for (const [at, line] of startQuotaServer.lines.entries()) {
    expect(line).toMatchObject({ capability: 'rerank', model: 'up/m', output_tokens: 0, estimated: at % 2 })
    if (at % 2 === 0) expect(line).toMatchObject({ input_tokens: 300, cost_nano_dollars: 300_000 })
    else expect(line.input_tokens).toBeGreaterThan(0)
  }
})

test('[VEN-11] a token limit refuses before a request is sent to the provider', async () => {
  await using startQuotaServer = await governed({ quota: { limits: [{ input_tokens: 200, period: 'day' }] }, provider, callers })
  startQuotaServer.upstream.respond(() => ranking({ total_tokens: 20 }))
  expect((await ask(startQuotaServer, '/v1/rerank')).status).toBe(200)
  const before = startQuotaServer.upstream.requests.length
  const response = await ask(startQuotaServer, '/v1/rerank', { documents: ['x'.repeat(500)] })
  expect([response.status, (await errorOf(response)).code]).toEqual([429, 'insufficient_quota'])
  expect(startQuotaServer.upstream.requests.length).toBe(before)
})

test('[VEN-11] every path is measured as reranking', async () => {
  await using it = await measured(() => ranking())
  for (const path of paths) await (await it.post(path, { ...body, model: 'up/small' })).text()
  const count = 'gen_ai_server_request_duration_seconds_count'
  const families = await readUntil(it, (now) => sum(valuesOf(now, count)) === paths.length)
  expect(sum(valuesOf(families, count, { gen_ai_operation_name: 'rerank' }))).toBe(paths.length)
})
