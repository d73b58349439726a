import { expect, test } from 'bun:test'
import { chatChunk, done, errorReply, type Script } from '../../src/testing/index.ts'
import { governed } from '../quota/quota-server.ts'
import { startTraceServer as traced } from '../telemetry/traces/trace-server.ts'

/** Refuses `stream_options`, and reports no usage without it. */
function databricks(json: Record<string, unknown> | undefined): Script {
  if (json?.['stream_options']) return errorReply(400, { message: 'stream_options: Extra inputs are not permitted' })
  return { body: [chatChunk({ role: 'assistant', content: 'Hello there' }), chatChunk({}, 'stop'), done] }
}

test('[ADD-4] a request that was sent again is one request to quota and ledger, its usage estimated and marked', async () => {
  await using startRelay = await governed({
    quota: { limits: [{ requests: 2, period: 'day', per: 'global' }] },
    callers: { alice: { attributes: {} } },
  })
  startRelay.upstream.respond(({ json }) => databricks(json))
  for (let time = 0; time < 2; time += 1) {
    const response = await startRelay.chat({ stream: true }, { as: 'alice' })
    expect([response.status, (await response.text()).includes('Hello there')]).toEqual([200, true])
  }
  expect(startRelay.upstream.requests.filter(({ json }) => json)).toHaveLength(3)
  expect(startRelay.lines).toMatchObject([
    { outcome: 'completed', estimated: 1 },
    { outcome: 'completed', estimated: 1 },
  ])
  expect(startRelay.lines.every(({ input_tokens: input, output_tokens: output }) => input > 0 && output > 0)).toBe(true)
})

test('[ADD-4] one span, which names the fields that were left out', async () => {
  await using startRelay = await traced()
  startRelay.upstream.respond(({ json }) => databricks(json))
  for (let time = 0; time < 2; time += 1) await (await startRelay.chat({ stream: true })).text()
  const spans = (await startRelay.spans(4)).filter(({ attributes }) => attributes['gen_ai.operation.name'] === 'chat')
  expect(spans.map(({ attributes }) => attributes['corral.request.resent_without'])).toEqual([['stream_options'], undefined])
  expect(spans.map(({ attributes }) => attributes['corral.outcome'])).toEqual(['completed', 'completed'])
})
