import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type ConnectionOptions } from 'node:tls'
import type { ServerConfig } from '../../src/config/config.ts'
import { type RunningServer, startServer } from '../../src/server.ts'
import { silentLog } from '../../src/telemetry/logger.ts'
import { makeCertificate } from '../../src/testing/certificates.ts'
import { testApp, testConfig } from '../../src/testing/index.ts'
import { load, problems, withServer } from '../config/loading.ts'

const folder = mkdtempSync(join(tmpdir(), 'corral-tls-'))
const file = (name: string): string => join(folder, name)
const pair = { cert: file('cert.pem'), key: file('key.pem') }
const pairLines = [`tls_certfile: ${pair.cert}`, `tls_keyfile: ${pair.key}`]
beforeAll(() => {
  const { cert, key } = makeCertificate({ name: 'corral' })
  writeFileSync(pair.cert, cert)
  writeFileSync(pair.key, key)
})
afterAll(() => rmSync(folder, { recursive: true }))

/** What `server:` with these lines comes to, and the warnings of it. */
async function read(...lines: string[]) {
  const { config, warnings } = await load(withServer(...lines))
  return { server: config.server, warnings: warnings.filter(({ path }) => path.startsWith('server')) }
}

async function maxAge(...lines: string[]) {
  const { server, warnings } = await read(...lines)
  return [server.hstsMaxAge, warnings.map(({ path }) => path)]
}

const start = (server: Partial<ServerConfig>): Promise<RunningServer> => startServer(testConfig({ server }), { log: silentLog })
const insecurely = { tls: { rejectUnauthorized: false } }

/** The cipher suite that a handshake ends with, or `refused`. */
function suiteOf({ port }: RunningServer, options: ConnectionOptions): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', rejectUnauthorized: false, ...options }, () => {
      resolve(socket.getCipher().name)
      socket.destroy()
    })
    socket.on('error', () => resolve('refused'))
  })
}

describe('server.tls_config', () => {
  const aes256 = 'ECDHE-ECDSA-AES256-GCM-SHA384'

  test('[GUA-10] ciphers: TLS 1.2 has those suites and no others, TLS 1.3 has its own', async () => {
    await using narrow = await start({ tls: { ...pair, ciphers: [aes256, 'ECDHE-RSA-AES256-GCM-SHA384'] } })
    expect(await suiteOf(narrow, { maxVersion: 'TLSv1.2' })).toBe(aes256)
    expect(await suiteOf(narrow, { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' })).toBe('refused')
    expect(await suiteOf(narrow, { minVersion: 'TLSv1.3' })).toStartWith('TLS_')
    await using standard = await start({ tls: pair })
    expect(await suiteOf(standard, { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-GCM-SHA256' })).toBe(
      'ECDHE-ECDSA-AES128-GCM-SHA256',
    )
  })

  test('[GUA-10] is read, and what has no effect is a warning', async () => {
    const names = `[${aes256}, TLS_AES_128_GCM_SHA256, DHE-RSA-AES128-GCM-SHA256]`
    const { server, warnings } = await read(...pairLines, `tls_config: { ciphers: ${names} }`)
    expect(server.tls).toEqual({ ...pair, ciphers: [aes256] })
    expect(warnings.map(({ path, message }) => `${path} ${message}`)).toEqual([
      'server.tls_config.ciphers[1] has no effect: every suite of TLS 1.3 is always offered',
      'server.tls_config.ciphers[2] has no effect: suites with DHE are never offered',
    ])
    for (const nothing of ['tls_config: {}', 'tls_config: null', 'tls_config: { ciphers: null }']) {
      const same = await read(...pairLines, nothing)
      expect([nothing, same.server.tls, same.warnings]).toEqual([nothing, pair, []])
    }
  })

  test.each([
    ['tls_config: { ciphers: [RC4-SHA] }', 'RC4-SHA'],
    ['tls_config: { ciphers: [ECDHE-RSA-AES128-SHA] }', 'cipher suite'],
    ['tls_config: { ciphers: [] }', 'names no cipher suite'],
    ['tls_config: { ciphers: [TLS_AES_128_GCM_SHA256] }', 'names no cipher suite'],
    ['tls_config: { ciphers: "ALL" }', 'must be'],
    ['tls_config: { min_version: TLSv1.3 }', 'unknown key'],
    ['tls_config: true', 'must be'],
    ['tls_options: {}', 'unknown key'],
  ])('[GUA-10] what is not understood is an error: %s', async (line) => {
    expect((await problems(withServer(...pairLines, line))).length).toBeGreaterThan(0)
  })
})

describe('server.hsts_max_age', () => {
  test('[GUA-10] is sent over TLS with every response, errors included, and never over plain HTTP', async () => {
    await using server = await start({ tls: pair, hstsMaxAge: 600 })
    for (const [path, status] of [
      ['/v1/health', 200],
      ['/no/where', 404],
    ] as const) {
      const response = await fetch(`https://127.0.0.1:${server.port}${path}`, insecurely)
      expect([response.status, response.headers.get('strict-transport-security')]).toEqual([status, 'max-age=600; includeSubDomains'])
    }
    const preflight = { method: 'OPTIONS', headers: { host: 'evil.example' }, ...insecurely }
    const refused = await fetch(`https://127.0.0.1:${server.port}/v1/models`, preflight)
    expect([refused.status, refused.headers.get('strict-transport-security')]).toEqual([403, 'max-age=600; includeSubDomains'])
    await using plain = await testApp(testConfig({ server: { hstsMaxAge: 600 } }))
    expect((await plain.fetch('/v1/health')).headers.get('strict-transport-security')).toBeNull()
    await using off = await testApp(testConfig({ server: { tls: pair } }))
    expect((await off.fetch('/v1/health')).headers.get('strict-transport-security')).toBeNull()
  })

  test('[GUA-10] is read; without TLS a warning, 0 is none', async () => {
    expect(await maxAge(...pairLines, 'hsts_max_age: 31536000')).toEqual([31_536_000, []])
    expect(await maxAge('hsts_max_age: 600')).toEqual([600, ['server.hsts_max_age']])
    expect(await maxAge('hsts_max_age: 0')).toEqual([undefined, []])
    expect(await maxAge(...pairLines, 'hsts_max_age: "60"')).toEqual([60, []])
    for (const wrong of ['-1', '1.5', 'a year']) expect((await problems(withServer(`hsts_max_age: ${wrong}`))).length).toBe(1)
  })
})
