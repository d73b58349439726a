import { expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { proxyFor } from '../egress/proxies.ts'
import { extraHeaders, forCallerSuppliedHost, networkConfig, toNetworkOptions } from './network-config.ts'

const url = 'https://api.example.com/v1'

test('one timeout in seconds is all of them in milliseconds; each may be named', () => {
  expect(toNetworkOptions({ timeout: 2 }, {})).toEqual({ connectTimeout: 2000, firstByteTimeout: 2000, idleTimeout: 2000 })
  expect(toNetworkOptions({ timeout: { connect: 1, read: 5 } }, {})).toEqual({
    connectTimeout: 1000,
    firstByteTimeout: 5000,
    idleTimeout: 5000,
  })
  expect(toNetworkOptions({ timeout: { first_byte: 0.05, idle: 3 } }, {})).toEqual({ firstByteTimeout: 50, idleTimeout: 3000 })
  expect(toNetworkOptions(undefined, { timeout: 60 }).firstByteTimeout).toBe(60_000)
  expect(toNetworkOptions(null, {})).toEqual({})
})

test('the proxy of the URL’s scheme, unless its host is reached directly', () => {
  const proxy = { http: 'http://plain:1', https: 'http://secure:2', no_proxy: ['.internal.example.com', 'localhost'] }
  const proxyOf = (target: string, over = {}) =>
    proxyFor(new URL(target), toNetworkOptions({ proxy: { ...proxy, ...over } }, {}).proxy, undefined)
  expect(proxyOf(url)).toBe('http://secure:2')
  expect(proxyOf('http://api.example.com')).toBe('http://plain:1')
  expect(proxyOf('https://a.internal.example.com')).toBeUndefined()
  expect(proxyOf('https://internal.example.com')).toBeUndefined()
  expect(proxyOf('https://notinternal.example.com')).toBe('http://secure:2')
  expect(proxyOf('http://localhost:8000/v1')).toBeUndefined()
  expect(proxyOf(url, { https: null, url: 'http://any:3' })).toBe('http://any:3')
  expect(proxyOf(url, { no_proxy: ['*'] })).toBeUndefined()
})

test('PEM files are read; a missing one is named; a caller’s host gets none of it', () => {
  const folder = mkdtempSync(join(tmpdir(), 'corral-network-'))
  try {
    const at = (name: string): string => join(folder, name)
    for (const name of ['ca', 'cert', 'key']) writeFileSync(at(name), `the ${name}`)
    const tls = { verify: at('ca'), client_cert: at('cert'), client_key: at('key'), ciphers: ['A', 'B'], min_version: 'TLSv1.3' as const }
    const options = toNetworkOptions({ tls, timeout: 1 }, {})
    expect(options.tls).toEqual({ ca: 'the ca', cert: 'the cert', key: 'the key', ciphers: 'A:B', minVersion: 'TLSv1.3' })
    expect(forCallerSuppliedHost(options)).toEqual({ connectTimeout: 1000, firstByteTimeout: 1000, idleTimeout: 1000 })
    expect(() => toNetworkOptions({ tls: { verify: at('none') } }, {})).toThrow(at('none'))
    expect(toNetworkOptions(undefined, { tls_verify: false }).tls).toEqual({ verify: false })
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('extra headers: names in lower case, nothing that could end a header', () => {
  expect(extraHeaders({ headers: { 'X-Team': 'a', Authorization: 'Basic eA==' } })).toEqual({ 'x-team': 'a', authorization: 'Basic eA==' })
  for (const headers of [{ 'bad name': 'x' }, { ok: 'a\r\nb: c' }]) expect(networkConfig.safeParse({ headers }).success).toBe(false)
})

test('half a client certificate is an error', () => {
  expect(networkConfig.safeParse({ tls: { client_cert: '/x' } }).success).toBe(false)
})
