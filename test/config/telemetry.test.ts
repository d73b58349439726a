import { expect, test } from 'bun:test'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defaultTelemetry } from '../../src/telemetry/config.ts'
import { load, problems, warnings } from './loading.ts'

const file = (text = '') => `providers: {}\n${text}`
const read = async (text = '', env: Record<string, string> = {}) => (await load(file(text), { env })).config.telemetry!

test('without a word nothing is exported and nothing kept', async () => {
  const telemetry = await read()
  expect(telemetry).toMatchObject({ ...defaultTelemetry, resource: { 'service.name': 'corral' } })
  expect([telemetry.store, telemetry.traces.exporter, telemetry.metrics.exporter]).toEqual([undefined, undefined, undefined])
})

test('[TRC-15] variables count more than the file, those of the signal more than the others', async () => {
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: 'http://all:4318/',
    OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: 'http://metrics:9/x',
    OTEL_EXPORTER_OTLP_HEADERS: 'a=1,authorization=Bearer%20s3cret',
    OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'a=2',
    OTEL_EXPORTER_OTLP_COMPRESSION: 'gzip',
    OTEL_TRACES_SAMPLER: 'traceidratio',
    OTEL_TRACES_SAMPLER_ARG: '0.25',
    OTEL_SERVICE_NAME: 'gate',
    OTEL_RESOURCE_ATTRIBUTES: 'service.name=no,team=a%2Cb',
    OTEL_SEMCONV_STABILITY_OPT_IN: 'http, gen_ai_latest_experimental',
    OTEL_BSP_MAX_QUEUE_SIZE: '17',
  }
  const telemetry = await read(
    "telemetry: { service_name: file, otlp: { endpoint: 'http://file:1', timeout_ms: 5 }, traces: { ratio: 0.5 } }",
    env,
  )
  const { exporter } = telemetry.traces
  expect(exporter).toMatchObject({ url: 'http://all:4318/v1/traces', timeout: 5, compression: 'gzip' })
  expect(Object.fromEntries(Object.entries(exporter!.headers).map(([name, value]) => [name, value.reveal()]))).toEqual({
    a: '2',
    authorization: 'Bearer s3cret',
  })
  expect(JSON.stringify(telemetry)).not.toContain('s3cret')
  expect(telemetry.metrics.exporter?.url).toBe('http://metrics:9/x')
  expect(telemetry).toMatchObject({ conventions: 'latest', resource: { 'service.name': 'gate', team: 'a,b' } })
  expect(telemetry.traces).toMatchObject({ sampler: 'traceidratio', ratio: 0.25, queueSize: 17 })
})

test('a share alone is one of the traces that begin here, none of them included', async () => {
  for (const ratio of [0, 0.1, 1]) {
    const { traces } = await read(`telemetry: { traces: { ratio: ${ratio} } }`)
    expect(traces).toMatchObject({ sampler: 'parentbased_traceidratio', ratio })
  }
  const { traces } = await read('telemetry: { traces: { ratio: 0, sampler: always_on } }')
  expect(traces.sampler).toBe('always_on')
})

test('[TRC-15] OTEL_SDK_DISABLED and `none` switch off; `otlp` alone means this machine', async () => {
  const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://all:4318' }
  const off = await read('telemetry: { store: { enabled: true } }', { ...endpoint, OTEL_SDK_DISABLED: 'true' })
  expect([off.traces.enabled, off.traces.exporter, off.metrics.enabled, off.store]).toEqual([false, undefined, false, undefined])
  const none = await read('', { ...endpoint, OTEL_TRACES_EXPORTER: 'none' })
  expect([none.traces.exporter, none.metrics.exporter?.url]).toEqual([undefined, 'http://all:4318/v1/metrics'])
  expect((await read('', { OTEL_TRACES_EXPORTER: 'otlp' })).traces.exporter?.url).toBe('http://localhost:4318/v1/traces')
})

test('an invalid variable is reported and ignored; in the file it is an error', async () => {
  const env = {
    OTEL_TRACES_SAMPLER: 'sometimes',
    OTEL_TRACES_SAMPLER_ARG: '7',
    OTEL_EXPORTER_OTLP_HEADERS: 'oops',
    OTEL_TRACES_EXPORTER: 'zipkin',
    OTEL_METRICS_EXPORTER: 'otlp,prometheus',
    OTEL_SDK_DISABLED: '1',
    OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: 'yes',
  }
  const text = (await warnings(file("telemetry: { otlp: { endpoint: 'http://x' } }"), { env })).join('\n')
  for (const name of Object.keys(env)) expect(text).toContain(name)
  expect(text).toContain('OTEL_EXPORTER_OTLP_HEADERS: has a part that is not key=value: that part is ignored')
  expect(text).not.toContain('oops')
  expect(text).toMatch(/OTEL_METRICS_EXPORTER: only 'otlp' is supported, the rest is ignored$/m)
  expect(text).toContain("OTEL_TRACES_EXPORTER: is neither 'otlp' nor 'none': ignored")
  const { traces, metrics } = await read('telemetry: { traces: { capture_content: true } }', env)
  expect([traces.enabled, metrics.exporter?.url]).toEqual([true, 'http://localhost:4318/v1/metrics'])
  for (const [value, captured] of [
    ['True', true],
    ['SPAN_ONLY', true],
    ['false', false],
    ['NO_CONTENT', false],
  ] as const) {
    const variables = { OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: value, OTEL_SDK_DISABLED: 'FALSE' }
    expect((await read('telemetry: { traces: { capture_content: true } }', variables)).traces.captureContent).toBe(captured)
    expect((await warnings(file(), { env: variables })).join()).not.toContain('OTEL_')
  }
  expect((await problems(file('telemetry: { tracing: true }'))).join()).toContain('telemetry.tracing: unknown key')
  expect((await problems(file('telemetry: { traces: { ratio: 2 } }'))).join()).toContain('telemetry.traces.ratio')
  expect((await problems(file("telemetry: { otlp: { endpoint: 'collector:4317' } }"))).join()).toContain('http')
})

test('[TRC-15] a variable about content that is not understood means none, whatever the file says', async () => {
  const name = 'OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT'
  const wanted = 'telemetry: { traces: { capture_content: true } }'
  for (const value of ['off', '0', 'no', 'yes', 'constructor']) {
    expect((await read(wanted, { [name]: value })).traces.captureContent).toBe(false)
    expect((await warnings(file(), { env: { [name]: value } })).join()).toMatch(
      new RegExp(`${name}: is not one of true, .*treated as 'false'`),
    )
  }
  for (const value of ['', ' ']) expect((await read(wanted, { [name]: value })).traces.captureContent).toBe(true)
})

test('what a collector is to be trusted by is there, and is what it should be, before anything starts', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'corral-otlp-'))
  try {
    const [pem, other, none] = [join(folder, 'a.pem'), join(folder, 'b.pem'), join(folder, 'none.pem')]
    await writeFile(pem, '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n')
    await writeFile(other, 'der?')
    const otlp = (keys: string) => file(`telemetry: { otlp: { endpoint: 'https://collector:4318', ${keys} } }`)
    expect((await read(otlp(`certificate: '${pem}'`).split('\n')[1])).traces.exporter?.certificate).toBe(pem)
    // Once, although both signals go there.
    expect(await problems(otlp(`certificate: '${none}'`))).toEqual([
      `telemetry.otlp.certificate (or OTEL_EXPORTER_OTLP_CERTIFICATE): the file '${none}' cannot be read (ENOENT)`,
    ])
    expect((await problems(otlp(`certificate: '${other}'`))).join()).toContain(`'${other}' is not a PEM file`)
    expect((await problems(otlp(`client_certificate: '${pem}'`))).join()).toContain('are required together')
    const env = { OTEL_EXPORTER_OTLP_CLIENT_KEY: pem }
    expect((await problems(otlp('timeout_ms: 5'), { env })).join()).toContain('are required together')
    const pair = await load(otlp(`client_certificate: '${pem}'`), { env })
    expect(pair.config.telemetry?.metrics.exporter).toMatchObject({ clientCertificate: pem, clientKey: pem })
  } finally {
    await rm(folder, { recursive: true })
  }
})

test('[TRC-15] Llama Stack’s provider of telemetry is understood', async () => {
  const text = `providers:
  telemetry:
    - provider_id: meta-reference
      provider_type: inline::meta-reference
      config:
        service_name: "\${env.OTEL_SERVICE_NAME:=\\u200B}"
        sinks: \${env.TELEMETRY_SINKS:=console,sqlite,otel_trace}
        sqlite_db_path: /data/trace_store.db
        otel_exporter_otlp_endpoint: \${env.OTEL_EXPORTER_OTLP_ENDPOINT:=http://jaeger:4318}`
  const { config, warnings: issued } = await load(text)
  expect(issued.filter((warning) => warning.kind === 'not_served')).toEqual([])
  const { traces, metrics, store, resource } = config.telemetry!
  expect([traces.exporter?.url, metrics.exporter, store?.path, resource['service.name']]).toEqual([
    'http://jaeger:4318/v1/traces',
    undefined,
    '/data/trace_store.corral.db',
    'corral',
  ])
})
