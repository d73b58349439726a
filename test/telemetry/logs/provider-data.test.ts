import { expect, test } from 'bun:test'
import { providerOf, recordedLog, testApp, testConfig } from '../../../src/testing/index.ts'

test('[OPS-3] provider data that is ignored is told with the request’s and the trace’s id', async () => {
  const log = recordedLog()
  await using app = await testApp(testConfig({ providers: [providerOf('up', {})] }), { log })
  const traceId = '0af7651916cd43dd8448eb211c80319c'
  const headers = {
    'x-llamastack-provider-data': '{"groq_api_key": sk-secret',
    'x-request-id': 'data-1',
    traceparent: `00-${traceId}-b7ad6b7169203331-01`,
  }
  const answer = await app.fetch('/v1/models', { headers })
  expect([answer.status, answer.headers.get('x-request-id'), answer.headers.get('x-trace-id')]).toEqual([200, 'data-1', traceId])
  expect(log.lines.find(({ message }) => message === 'provider data ignored')).toMatchObject({
    level: 'warn',
    fields: { request_id: 'data-1', trace_id: traceId, header: 'x-llamastack-provider-data', why: 'not JSON' },
  })
  expect(JSON.stringify(log.lines)).not.toContain('sk-secret')
})
