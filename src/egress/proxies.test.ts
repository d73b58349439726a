import { describe, expect, test } from 'bun:test'
import { assert, constantFrom, option, property, record } from 'fast-check'
import { Secret } from '../secret.ts'
import { proxyFor, proxyFromEnvironment, readProxies } from './proxies.ts'

const fromEnvironment = (url: string, none?: string) =>
  proxyFromEnvironment(new URL(url), {
    http: new Secret('plain'),
    https: new Secret('secure'),
    ...(none !== undefined && { none }),
  })

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
    ['http://127.0.0.1/', undefined, undefined],
    ['http://127.8.9.10:4318/', 'other', undefined],
    ['https://localhost:8443/', undefined, undefined],
    ['http://LocalHost./', undefined, undefined],
    ['http://api.localhost/', undefined, undefined],
    ['http://[::1]:9/', undefined, undefined],
    ['http://[::ffff:127.0.0.1]/', undefined, undefined],
    ['http://localhost.example/', undefined, 'plain'],
    ['http://[2001:db8::1]/', '2001:db8::1', undefined],
    ['http://10.0.0.1/', 'localhost', 'plain'],
    ['http://a.example/', ', ,', 'plain'],
  ] as const)('%s with NO_PROXY=%s', (url, none, expected) => {
    expect(fromEnvironment(url, none)).toBe(expected)
  })

  test('without one for the scheme there is none', () => {
    expect(proxyFromEnvironment(new URL('https://a.example'), { http: new Secret('plain') })).toBeUndefined()
    expect(proxyFromEnvironment(new URL('https://a.example'), undefined)).toBeUndefined()
  })
})

const rule = record({
  http: option(constantFrom('p1', 'p2'), { nil: undefined }),
  https: option(constantFrom('p3', 'p4'), { nil: undefined }),
  none: option(constantFrom('*', 'a.example', 'b.example,127.0.0.1', ''), { nil: undefined }),
})
const target = constantFrom('http://a.example/', 'https://a.example/', 'http://b.example/', 'https://c.example/', 'http://127.0.0.1/')
const secrets = ({ http, https, none }: { http: string | undefined; https: string | undefined; none: string | undefined }) => ({
  ...(http !== undefined && { http: new Secret(http) }),
  ...(https !== undefined && { https: new Secret(https) }),
  none,
})
const excepts = (none: string | undefined, { hostname }: URL) => none === '*' || (none ?? '').split(',').includes(hostname)

describe('the proxy of one provider', () => {
  test('[PRO-4] the file counts before the environment, and loopback never goes to the environment’s', () => {
    assert(
      property(rule, rule, target, (own, environment, text) => {
        const url = new URL(text)
        const scheme = url.protocol === 'https:' ? 'https' : 'http'
        const seen = proxyFor(url, secrets(own), secrets(environment))
        if (excepts(own.none, url)) expect(seen).toBeUndefined()
        else if (own[scheme] !== undefined) expect(seen).toBe(own[scheme])
        else if (excepts(environment.none, url) || url.hostname === '127.0.0.1') expect(seen).toBeUndefined()
        else expect(seen).toBe(environment[scheme])
      }),
      { numRuns: 200 },
    )
  })
})
