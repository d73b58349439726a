import { describe, expect, test } from 'bun:test'
import { chatChunk, chatReply, chatStream, errorReply, recordedLog } from '../../../src/testing/index.ts'
import { parseText, valuesOf } from './parse-text.ts'
import { hello, measured, readUntil } from './stage.ts'

const usage = {
  prompt_tokens: 30,
  completion_tokens: 12,
  total_tokens: 42,
  prompt_tokens_details: { cached_tokens: 10 },
  completion_tokens_details: { reasoning_tokens: 5 },
}
const small = { corral_provider: 'up', gen_ai_request_model: 'small' }

describe('/metrics', () => {
  test('[MET-1] keeps to both formats, and its names end with their units', async () => {
    await using it = await measured(() => chatReply())
    await (await it.post('/v1/chat/completions', { model: 'up/small', ...hello })).text()
    const families = await readUntil(it, (now) => now.has('gen_ai_server_request_duration_seconds'))
    for (const name of [
      'gen_ai_server_request_duration_seconds',
      'gen_ai_client_operation_duration_seconds',
      'gen_ai_client_token_usage',
      'http_server_request_duration_seconds',
      'http_server_active_requests',
      'corral_tokens_total',
      'corral_cost_USD_total',
      'process_memory_usage_bytes',
      'process_cpu_time_seconds_total',
      'nodejs_eventloop_delay_p99_seconds',
      'target_info',
    ]) {
      expect(families.has(name) ? name : undefined).toBe(name)
    }
    const accept = 'application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.4,*/*;q=0.1'
    const open = await it.server.fetch('/metrics', { headers: { accept } })
    expect(open.headers.get('content-type')).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8')
    const parsed = parseText(await open.text(), 'openmetrics')
    expect(parsed.get('gen_ai_server_request_duration_seconds')).toMatchObject({ type: 'histogram', unit: 'seconds' })
    expect(parsed.get('corral_tokens')?.type).toBe('counter')
  })

  test('[MET-2] a JSON response: durations and tokens by part, for callers and for providers', async () => {
    await using it = await measured(() => chatReply('Hi.', { usage }))
    await (await it.post('/v1/chat/completions', { model: 'small', ...hello })).text()
    const families = await readUntil(it, (now) => valuesOf(now, 'gen_ai_server_request_duration_seconds_count').length > 0)
    // Callers' spellings are reported as the catalogue's id, providers' as they are.
    const server = { gen_ai_operation_name: 'chat', corral_provider: 'up', gen_ai_request_model: 'up/small', error_type: '' }
    expect(valuesOf(families, 'gen_ai_server_request_duration_seconds_count', server)).toEqual([1])
    const client = { ...small, gen_ai_operation_name: 'chat', gen_ai_provider_name: 'openai-compatible', error_type: '' }
    expect(valuesOf(families, 'gen_ai_client_operation_duration_seconds_count', client)).toEqual([1])
    expect(valuesOf(families, 'gen_ai_client_token_usage_sum', { ...small, gen_ai_token_type: 'input' })).toEqual([30])
    expect(valuesOf(families, 'gen_ai_client_token_usage_sum', { ...small, gen_ai_token_type: 'output' })).toEqual([12])
    expect(valuesOf(families, 'corral_tokens_total', { ...small, corral_token_part: 'cache_read.input_tokens' })).toEqual([10])
    expect(valuesOf(families, 'corral_tokens_total', { ...small, corral_token_part: 'reasoning.output_tokens' })).toEqual([5])
    expect(valuesOf(families, 'corral_provider_up', { corral_provider: 'up' })).toEqual([1])
    expect(valuesOf(families, 'corral_provider_models', { corral_provider: 'up' })).toEqual([2])
    const http = { http_request_method: 'POST', http_route: '/v1/chat/completions', http_response_status_code: '200', url_scheme: 'http' }
    expect(valuesOf(families, 'http_server_request_duration_seconds_count', http)).toEqual([1])
  })

  test('[MET-2] a stream: times to the first token and between tokens', async () => {
    await using it = await measured(() => chatStream())
    const fields = { model: 'up/small', stream: true, stream_options: { include_usage: true }, ...hello }
    await (await it.post('/v1/chat/completions', fields)).text()
    const families = await readUntil(it, (now) => valuesOf(now, 'gen_ai_server_time_to_first_token_seconds_count').length > 0)
    const model = { corral_provider: 'up', gen_ai_request_model: 'up/small' }
    expect(valuesOf(families, 'gen_ai_server_time_to_first_token_seconds_count', model)).toEqual([1])
    expect(valuesOf(families, 'gen_ai_server_time_per_output_token_seconds_count', model)).toEqual([1])
    expect(valuesOf(families, 'gen_ai_client_operation_time_to_first_chunk_seconds_count', small)).toEqual([1])
    expect(valuesOf(families, 'gen_ai_client_operation_time_per_output_chunk_seconds_count', small)).toEqual([1])
    expect(valuesOf(families, 'corral_streams_open')).toEqual([0])
  })

  test('[MET-2] a failure of a provider: its type, the failures, and that it is down', async () => {
    await using it = await measured(() => errorReply(500))
    await (await it.post('/v1/chat/completions', { model: 'up/small', ...hello })).text()
    const families = await readUntil(it, (now) => valuesOf(now, 'corral_upstream_failures_total').length > 0)
    const failed = { error_type: '500', corral_provider: 'up' }
    expect(valuesOf(families, 'gen_ai_server_request_duration_seconds_count', failed)).toEqual([1])
    expect(valuesOf(families, 'gen_ai_client_operation_duration_seconds_count', failed)).toEqual([1])
    expect(valuesOf(families, 'corral_upstream_failures_total', { ...failed, corral_failure_source: 'inference' })).toEqual([1])
    expect(valuesOf(families, 'corral_provider_up', { corral_provider: 'up' })).toEqual([0])
  })

  test('[MET-2] a failure that a provider reports in a stream is not an HTTP status, which was 200', async () => {
    const failure = `data: ${JSON.stringify({ error: { message: 'overloaded', type: 'whatever', code: 'x' } })}\n\n`
    await using it = await measured(() => ({ body: [chatChunk({ content: 'a' }), failure] }))
    await (await it.post('/v1/chat/completions', { model: 'up/small', stream: true, ...hello })).text()
    const families = await readUntil(it, (now) => valuesOf(now, 'corral_upstream_failures_total').length > 0)
    const failed = { error_type: 'upstream_error', corral_provider: 'up' }
    expect(valuesOf(families, 'gen_ai_server_request_duration_seconds_count', failed)).toEqual([1])
    expect(valuesOf(families, 'gen_ai_client_operation_duration_seconds_count', failed)).toEqual([1])
    expect(valuesOf(families, 'corral_upstream_failures_total', { ...failed, corral_failure_source: 'inference' })).toEqual([1])
  })

  test('[MET-2] nor is one in place of a JSON response', async () => {
    await using it = await measured(() => ({ body: JSON.stringify({ error: { message: 'overloaded' } }) }))
    const response = await it.post('/v1/chat/completions', { model: 'up/small', ...hello })
    expect((await response.json()) as object).toHaveProperty('error')
    const families = await readUntil(it, (now) => valuesOf(now, 'corral_upstream_failures_total').length > 0)
    const failed = { error_type: 'upstream_error', corral_provider: 'up' }
    expect(valuesOf(families, 'gen_ai_client_operation_duration_seconds_count', failed)).toEqual([1])
  })

  test('[MET-3] 10,000 names of models add no series', async () => {
    await using it = await measured(() => chatReply())
    const ask = async (model: string) => void (await (await it.post('/v1/chat/completions', { model, ...hello })).text())
    const seriesOf = async () =>
      [...(await it.read()).values()].flatMap(({ samples }) => samples.map(({ name, labels }) => JSON.stringify([name, labels])))
    await ask('up/small')
    await ask('up/strange-0')
    await ask('nobody/has-0')
    await new Promise((resolve) => setTimeout(resolve, 300))
    await it.read()
    await new Promise((resolve) => setTimeout(resolve, 300))
    const before = await seriesOf()
    const names = Array.from({ length: 10_000 }, (_, at) => (at % 10 === 0 ? `up/strange-${at}` : `nobody/has-${at}`))
    for (let at = 0; at < names.length; at += 100) await Promise.all(names.slice(at, at + 100).map(ask))
    await new Promise((resolve) => setTimeout(resolve, 300))
    const after = await seriesOf()
    expect(after.filter((one) => !before.includes(one))).toEqual([])
    expect(after.some((one) => one.includes('strange'))).toBe(false)
    const families = await it.read()
    const others = { gen_ai_request_model: 'other', error_type: 'model_not_found' }
    expect(valuesOf(families, 'gen_ai_server_request_duration_seconds_count', others)).toEqual([9001])
    expect(valuesOf(families, 'gen_ai_client_operation_duration_seconds_count', { gen_ai_request_model: 'other' })).toEqual([1001])
  })

  test('[MET-4] ten readers at once share one look', async () => {
    await using it = await measured(() => chatReply())
    const { metrics } = it.server.services
    let looks = 0
    metrics?.observe('corral.client.disconnects', () => {
      looks += 1
      return []
    })
    const texts = await Promise.all(
      Array.from({ length: 10 }, async () => (await it.server.services.metrics?.scrape()) ?? (await it.server.fetch('/metrics')).text()),
    )
    expect(new Set(texts.map((text) => JSON.stringify(text))).size).toBe(1)
    expect(looks).toBe(1)
    const responses = await Promise.all(Array.from({ length: 10 }, async () => (await it.server.fetch('/metrics')).status))
    expect(new Set(responses)).toEqual(new Set([200]))
  })

  test('404 where metrics are switched off', async () => {
    const { defaultTelemetry } = await import('../../../src/telemetry/config.ts')
    const telemetry = { ...defaultTelemetry, metrics: { ...defaultTelemetry.metrics, enabled: false } }
    await using it = await measured(() => chatReply(), { telemetry }, { log: recordedLog() })
    expect((await it.server.fetch('/metrics')).status).toBe(404)
    expect((await it.post('/v1/chat/completions', { model: 'up/small', ...hello })).status).toBe(200)
  })
})
