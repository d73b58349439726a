import { describe, expect, test } from 'bun:test'
import { Secret } from '../secret.ts'
import { proxyFromEnvironment, readProxies } from './proxies.ts'

const proxyFor = (url: string, none?: string) =>
  proxyFromEnvironment(new URL(url), { http: new Secret('plain'), https: new Secret('secure'), ...(none !== undefined && { none }) })

describe('the proxies of the environment', () => {
  test('are those that fetch itself reads, lower case first; without any there are none', () => {
    expect(readProxies({})).toBeUndefined()
    expect(readProxies({ NO_PROXY: '*', HTTP_PROXY: ' ' })).toBeUndefined()
    const proxies = readProxies({
      HTTP_PROXY: 'http://upper',
      http_proxy: ' http://user:pass@lower ',
      https_proxy: '',
      HTTPS_PROXY: 'http://secure',
    })
    expect([proxies?.http?.reveal(), proxies?.https?.reveal(), proxies?.none]).toEqual([
      'http://user:pass@lower',
      'http://secure',
      undefined,
    ])
    expect(JSON.stringify(proxies)).not.toContain('pass')
  })

  test.each([
    ['http://a.example/', undefined, 'plain'],
    ['https://a.example/', undefined, 'secure'],
    ['http://a.example/', '*', undefined],
    ['http://a.example/', 'b.example, a.example', undefined],
    ['http://x.a.example/', 'a.example', undefined],
    ['http://x.a.example/', '.a.example', undefined],
    ['http://x.a.example/', '*.a.example', undefined],
    ['http://xa.example/', 'a.example', 'plain'],
    ['http://a.example./', 'A.EXAMPLE', undefined],
    ['http://a.example:8080/', 'a.example:8080', undefined],
    ['http://a.example:8081/', 'a.example:8080', 'plain'],
    ['https://a.example/', 'a.example:443', undefined],
    ['http://[::1]:8080/', '[::1]', undefined],
    ['http://127.0.0.1/', 'localhost', 'plain'],
    ['http://a.example/', ', ,', 'plain'],
  ] as const)('%s with NO_PROXY=%s', (url, none, expected) => {
    expect(proxyFor(url, none)).toBe(expected)
  })

  test('without one for the scheme there is none', () => {
    expect(proxyFromEnvironment(new URL('https://a.example'), { http: new Secret('plain') })).toBeUndefined()
    expect(proxyFromEnvironment(new URL('https://a.example'), undefined)).toBeUndefined()
  })
})
