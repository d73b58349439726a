import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openaiCompatibleServer } from '../../src/providers/inference/generic.ts'
import { makeCertificate } from '../../src/testing/certificates.ts'
import { chatReply, errorReply, mockUpstream, providerEntry, testApp, testConfig, type MockUpstream } from '../../src/testing/index.ts'

const authority = makeCertificate({ name: 'Test CA', authority: true })
const server = makeCertificate({ name: 'localhost', issuer: authority })
const client = makeCertificate({ name: 'a client', issuer: authority })

let folder = ''
const at = (name: string): string => join(folder, name)

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'corral-provider-network-'))
  writeFileSync(at('ca.pem'), authority.cert)
  writeFileSync(at('client.pem'), client.cert)
  writeFileSync(at('client-key.pem'), client.key, { mode: 0o600 })
})

afterAll(() => {
  rmSync(folder, { recursive: true })
})

async function ask(upstream: MockUpstream, baseUrl: string, network: object): Promise<{ status: number; text: string }> {
  upstream.respond(({ method }) => (method === 'GET' ? errorReply(404) : chatReply('over the wire')))
  const config = { base_url: baseUrl, api_key: 'k-123456', network: { timeout: 5, ...network } }
  await using app = await testApp(testConfig({ providers: [providerEntry(openaiCompatibleServer, 'p', config)] }))
  const response = await app.fetch('/v1/chat/completions', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'p/m', messages: [{ role: 'user', content: 'Hi' }] }),
  })
  return { status: response.status, text: await response.text() }
}

describe('TLS', () => {
  const tls = { cert: server.cert, key: server.key }

  test('a certificate of an unknown authority: 502 that says what to set', async () => {
    await using upstream = await mockUpstream({ tls })
    const { status, text } = await ask(upstream, upstream.url, {})
    expect(status).toBe(502)
    expect(text).toContain('upstream_tls_error')
    expect(text).toContain('certificate')
  })

  test('verify names the authority, or is false', async () => {
    await using upstream = await mockUpstream({ tls })
    for (const verify of [at('ca.pem'), false]) {
      expect(await ask(upstream, upstream.url, { tls: { verify } })).toMatchObject({ status: 200 })
    }
  })

  test('a server that wants a client certificate gets it', async () => {
    await using upstream = await mockUpstream({ tls: { ...tls, ca: authority.cert, requestCert: true, rejectUnauthorized: true } })
    const verify = at('ca.pem')
    expect((await ask(upstream, upstream.url, { tls: { verify } })).status).toBe(502)
    const own = { verify, client_cert: at('client.pem'), client_key: at('client-key.pem'), min_version: 'TLSv1.3' }
    expect(await ask(upstream, upstream.url, { tls: own })).toMatchObject({ status: 200 })
  })
})

test('a proxy gets the request for the host, unless the host is reached directly', async () => {
  await using proxy = await mockUpstream()
  await using direct = await mockUpstream()
  proxy.respond(({ method }) => (method === 'GET' ? errorReply(404) : chatReply()))
  const through = await ask(proxy, 'http://api.vendor.test/v1', { proxy: { http: proxy.url } })
  expect(through.status).toBe(200)
  const requests = proxy.requests.find(({ method }) => method === 'POST')
  expect([requests?.path, requests?.headers.host]).toEqual(['http://api.vendor.test/v1/chat/completions', 'api.vendor.test'])
  const seen = proxy.requests.length
  expect((await ask(direct, direct.url, { proxy: { url: proxy.url, no_proxy: ['127.0.0.1'] } })).status).toBe(200)
  expect(proxy.requests).toHaveLength(seen)
})
