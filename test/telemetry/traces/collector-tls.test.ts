import { afterAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeCertificate } from '../../../src/testing/certificates.ts'
import { chatReply, recordedLog } from '../../../src/testing/index.ts'
import { load } from '../../config/loading.ts'
import { untilDropped } from '../dropped.ts'
import { otlpReceiver } from './otlp-receiver.ts'
import { startTraceServer, until } from './trace-server.ts'

const folder = mkdtempSync(join(tmpdir(), 'corral-collector-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A file of the folder, by its path. */
function fileOf(name: string, text: string): string {
  writeFileSync(join(folder, name), text)
  return join(folder, name)
}

const authority = makeCertificate({ name: 'an authority of one’s own', authority: true })
const { cert, key } = makeCertificate({ name: 'collector', issuer: authority })
const client = makeCertificate({ name: 'corral', issuer: authority })
const stranger = makeCertificate({ name: 'somebody else', authority: true })

const certificate = { OTEL_EXPORTER_OTLP_CERTIFICATE: fileOf('authority.pem', authority.cert) }
const clientCertificate = {
  OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE: fileOf('client.pem', client.cert),
  OTEL_EXPORTER_OTLP_CLIENT_KEY: fileOf('client.key', client.key),
}

/** What the variables say, as `corral run` reads them. */
async function telemetryBy(url: string, env: Record<string, string>) {
  const { config } = await load('providers: {}\n', {
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: url, OTEL_BSP_SCHEDULE_DELAY: '10', OTEL_METRICS_EXPORTER: 'none', ...env },
  })
  return config.telemetry!
}

const trusted: readonly (readonly [string, Record<string, string>, { readonly ca?: string }])[] = [
  ['an authority of one’s own', certificate, {}],
  ['an authority of traces alone', { OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE: certificate.OTEL_EXPORTER_OTLP_CERTIFICATE }, {}],
  ['a client certificate', { ...certificate, ...clientCertificate }, { ca: authority.cert }],
]

const refused: readonly (readonly [string, Record<string, string>, { readonly ca?: string }])[] = [
  ['whose authority is not known', {}, {}],
  ['of another authority', { OTEL_EXPORTER_OTLP_CERTIFICATE: fileOf('stranger.pem', stranger.cert) }, {}],
  ['that wants a client certificate and is shown none', certificate, { ca: authority.cert }],
]

describe('a collector over TLS', () => {
  test.each(trusted)('[TRC-15] with %s gets its spans', async (_, env, { ca }) => {
    await using receiver = otlpReceiver({ tls: { cert, key, ...(ca !== undefined && { ca }) } })
    await using at = await startTraceServer(await telemetryBy(receiver.url, env))
    at.upstream.respond(() => chatReply())
    expect((await at.chat()).status).toBe(200)
    await until(() => receiver.spans.length === 2)
    expect(receiver.url).toStartWith('https://')
  })

  test.each(refused)('[TRC-15] %s gets none: serving goes on, and the log says why', async (_, env, { ca }) => {
    const log = recordedLog()
    await using receiver = otlpReceiver({ tls: { cert, key, ...(ca !== undefined && { ca }) } })
    await using at = await startTraceServer(await telemetryBy(receiver.url, { ...env, OTEL_BSP_MAX_QUEUE_SIZE: '1' }), { log })
    at.upstream.respond(() => chatReply())
    for (let count = 0; count < 3; count++) expect((await at.chat()).status).toBe(200)
    await until(() => log.lines.some(({ message }) => message === 'dependency unavailable'))
    await untilDropped(at.server, 'spans')
    const line = log.lines.find(({ message }) => message === 'dependency unavailable')
    expect(JSON.stringify(line?.fields)).toMatch(/trace collector.*(certificate|TLS|connection|socket)/i)
    expect([receiver.requests, receiver.spans]).toEqual([[], []])
  })

  test('[TRC-15] a certificate that cannot be read stops the start', async () => {
    const read = telemetryBy('https://127.0.0.1:1', { OTEL_EXPORTER_OTLP_CERTIFICATE: join(folder, 'absent.pem') })
    expect(String(await read.catch((error: unknown) => error))).toContain('absent.pem')
  })
})
