import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { connect } from 'node:net'
import { isValidHost } from '../../src/http/middleware/host-check.ts'
import { testConfig, testServer, type TestServer } from '../../src/testing/index.ts'

let loopback: TestServer
let open: TestServer
beforeAll(async () => {
  loopback = await testServer(testConfig({}))
  const cors = { allowOrigins: ['*'], allowMethods: ['*'], allowHeaders: ['*'], exposeHeaders: [], allowCredentials: false, maxAge: 1 }
  open = await testServer(testConfig({ server: { host: '0.0.0.0', allowUnauthenticated: true, cors } }))
})
afterAll(async () => {
  for (const server of [loopback, open]) await server[Symbol.asyncDispose]()
})

/** Sends one request as bytes; the response's status and body. */
async function send(to: TestServer, hosts: readonly string[], target = '/v1/health', version = '1.1') {
  const socket = connect(Number(new URL(to.url).port), '127.0.0.1')
  const fields = hosts.map((host) => `Host: ${host}\r\n`).join('')
  socket.write(`GET ${target} HTTP/${version}\r\n${fields}Connection: close\r\n\r\n`, 'latin1')
  let text = ''
  for await (const piece of socket) text += String(piece)
  return { status: Number(text.slice(9, 12)), text }
}

const ask = (url: string, host: string) => loopback.app.fetch(new Request(url, { headers: { host } }))

const invalid = [
  'localhost, localhost',
  'local host',
  'user@localhost',
  'localhost/x',
  'localhost?x',
  'localhost#x',
  'local\\host',
  'localhost:99999',
  'localhost:x',
  'localhost:80:80',
  '[::1',
  '[::g]',
  '[::1]x',
  '%zz',
  'b\u00fccher.example',
  '',
]

describe('a Host header', () => {
  test('[GUA-3] that is sent twice is a 400, whatever the values', async () => {
    for (const server of [loopback, open]) {
      for (const hosts of [
        ['localhost', 'evil.example'],
        ['evil.example', 'localhost'],
        ['localhost', 'localhost'],
        ['localhost', ''],
        ['', 'localhost'],
        ['localhost', 'localhost', 'localhost'],
      ]) {
        const { status, text } = await send(server, hosts)
        expect([hosts, status]).toEqual([hosts, 400])
        if (hosts.every(Boolean)) expect(text).toContain('"code":"invalid_host"')
      }
    }
  })

  test('[GUA-3] that is invalid is a 400, on loopback and elsewhere', async () => {
    for (const server of [loopback, open]) {
      for (const host of invalid) expect([host, (await send(server, [host])).status]).toEqual([host, 400])
      for (const host of invalid) expect([host, (await send(server, [host], '/v1/health', '1.0')).status]).toEqual([host, 400])
    }
  })

  test('[GUA-3] that is sent twice is a 400 in a preflight too', async () => {
    const socket = connect(Number(new URL(open.url).port), '127.0.0.1')
    const preflight = 'Origin: https://app.example\r\nAccess-Control-Request-Method: POST\r\n'
    socket.write(`OPTIONS /v1/models HTTP/1.1\r\nHost: a.example\r\nHost: b.example\r\n${preflight}Connection: close\r\n\r\n`)
    let text = ''
    for await (const piece of socket) text += String(piece)
    expect(text).toStartWith('HTTP/1.1 400')
  })

  test('[GUA-3] that is valid is served as before', async () => {
    for (const host of ['localhost', 'LOCALHOST:8321', '127.0.0.1:65535', '[::1]', '[::1]:1', 'localhost:']) {
      expect([host, (await send(loopback, [host])).status]).toEqual([host, 200])
    }
    for (const host of ['corral.example', 'a_b.example:443', '192.0.2.1', '[2001:db8::1]:8321', 'corral.example.']) {
      expect([host, (await send(open, [host])).status]).toEqual([host, 200])
      expect([host, (await send(loopback, [host])).status]).toEqual([host, 403])
    }
    expect((await send(loopback, [], '/v1/health', '1.0')).status).toBe(200)
    expect((await send(loopback, [])).status).toBe(400)
  })

  test('[GUA-3] two hosts joined are never one valid host', () => {
    const groups = fc.array(fc.nat(0xffff), { minLength: 8, maxLength: 8 })
    const ipV6 = groups.map((all) => `[${all.map((group) => group.toString(16)).join(':')}]`)
    const host = fc.oneof(fc.domain(), fc.ipV4(), ipV6)
    fc.assert(
      fc.property(host, host, fc.option(fc.nat(65_535), { nil: undefined }), (one, other, port) => {
        const withPort = port === undefined ? one : `${one}:${port}`
        expect([withPort, isValidHost(withPort)]).toEqual([withPort, true])
        for (const joined of [`${withPort}, ${other}`, `${withPort},${other}`])
          expect([joined, isValidHost(joined)]).toEqual([joined, false])
      }),
    )
    fc.assert(fc.property(fc.string(), (text) => !isValidHost(text) || URL.canParse(`http://${text}`) || /^[\w.:-]+$/.test(text)))
  })
})

describe('the authority of an absolute-form target', () => {
  test('[GUA-3] counts besides Host where the HTTP server passes it on', async () => {
    expect((await ask('http://evil.example/v1/health', 'localhost')).status).toBe(403)
    expect((await ask('http://localhost/v1/health', 'evil.example')).status).toBe(403)
    expect((await ask('http://localhost@evil.example:80/v1/health', 'localhost')).status).toBe(403)
    expect((await ask('http://127.0.0.1:99/v1/health', 'localhost:8321')).status).toBe(200)
    expect((await ask('http://localhost/v1/health?x=http://evil.example/', 'localhost')).status).toBe(200)
  })

  test('[GUA-3] is replaced by Host on Bun, which is what counts then', async () => {
    expect((await send(loopback, ['evil.example'], 'http://localhost/v1/health')).status).toBe(403)
    expect((await send(loopback, ['localhost', 'evil.example'], 'http://localhost/v1/health')).status).toBe(400)
    // Never visible to Corral on the pinned Bun; when this fails, a newer Bun shows the authority, and the documentation is to be changed.
    expect((await send(loopback, ['localhost'], 'http://other.example/v1/health')).status).toBe(200)
  })
})
