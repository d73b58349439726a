import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { mockUpstream, testServer } from '../../src/testing/index.ts'
import type { Secret } from '../../src/secret.ts'
import { load, problems, settingsOf, warnings, withConfig, withServer } from './loading.ts'

const secondsOf = async (text: string) => (await load(withServer(`max_stream_seconds: ${text}`))).config.server.maxStreamSeconds
const older = (...lines: string[]) => withServer('auth:', ...lines.map((line) => `  ${line}`))
const saying = (text: string) => [expect.stringContaining(text) as string]

describe('[REL-6] numbers and booleans in quotes', () => {
  test('[REL-6] are read as such where one is wanted', async () => {
    const settings = await settingsOf(withConfig("max_tokens: '4096'", 'temperature: "0.7"', "refresh_models: 'True'", "verify: 'false'"))
    // A union that takes text as well keeps the text.
    expect(settings).toMatchObject({ max_tokens: 4096, temperature: 0.7, refresh_models: true, verify: 'false' })
    const { config } = await load(withServer("port: '9000'", 'workers: "2"', "allow_unauthenticated: 'yes'", "max_stream_seconds: '0.5'"))
    expect(config.server).toMatchObject({ port: 9000, workers: 2, allowUnauthenticated: true, maxStreamSeconds: 0.5 })
  })

  test('[REL-6] stay text elsewhere', async () => {
    const text = withConfig("api_key: '0012'", 'base_url: "1"', "headers: { a: 'true', b: '3' }", "extra: { n: '5', b: 'no' }")
    const settings = await settingsOf(text)
    expect(settings).toMatchObject({ base_url: '1', headers: { a: 'true', b: '3' }, extra: { n: '5', b: 'no' } })
    expect((settings.api_key as Secret).reveal()).toBe('0012')
  })

  test('[REL-6] and what is no number is none', async () => {
    for (const written of ["'4096 tokens'", "'0x10'", "'1,000'", "''", "'9007199254740993'", "'Infinity'"]) {
      const lines = await problems(withServer(`port: ${written}`)).catch(() => ['loads'])
      expect([written, lines]).toEqual([
        written,
        written === "''" ? expect.anything() : [expect.stringContaining('server.port: must be') as string],
      ])
    }
    expect(await problems(withServer("port: '99999'"))).toEqual(['4:3 server.port: must be a port: 1 to 65535, or 0 for a free one'])
  })

  test('[REL-6] a number means the same with quotes and without', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(fc.integer({ min: 1, max: 2_000_000 }), fc.double({ min: 0.001, max: 1e6, noNaN: true })),
        async (number) => {
          expect(await secondsOf(`'${number}'`)).toBe(await secondsOf(String(number)))
        },
      ),
      { numRuns: 25 },
    )
  })
})

describe('[REL-7] the environment grammar of before Llama Stack 0.2.13', () => {
  const cases: [written: string, env: Record<string, string>, expected: string | undefined, deprecated: boolean][] = [
    ['${env.X:http://localhost:8000/v1}', {}, 'http://localhost:8000/v1', true],
    ['${env.X:http://localhost:8000/v1}', { X: 'https://a' }, 'https://a', true],
    ['${env.X:}', {}, undefined, true],
    ['${env.X+there}', {}, undefined, true],
    ['${env.X+there}', { X: 'v' }, 'there', true],
    ['${env.X:a=b+c}', {}, 'a=b+c', true],
    ['${env.X:~/x}', {}, '/home/me/x', true],
    ['a-${env.X:b}-${env.Y+c}', { Y: '1' }, 'a-b-c', true],
    // Both grammars match: the newer counts.
    ['${env.X:=y}', {}, 'y', false],
    ['${env.X:+y}', {}, undefined, false],
    ['${env.X:+y}', { X: 'v' }, 'y', false],
  ]
  for (const [written, env, expected, deprecated] of cases) {
    test(`[REL-7] ${written} with ${JSON.stringify(env)}`, async () => {
      const text = withConfig(`headers: { a: "${written}" }`)
      const { headers } = (await settingsOf(text, { env })) as { headers?: { a?: string } }
      expect(headers?.a).toBe(expected as string)
      const warned = await warnings(text, { env })
      expect(warned.every((line) => line.includes('headers.a') && line.includes('deprecated'))).toBe(true)
      expect(warned.length > 0).toBe(deprecated)
    })
  }

  test('[REL-7] the warning names the reference and the newer form, not the default', async () => {
    expect(await warnings(withConfig('api_key: ${env.KEY:hunter22}'))).toEqual([
      "7:9 providers.inference[0].config.api_key: '${env.KEY:...}' is the grammar of before Llama Stack 0.2.13, which is deprecated: write '${env.KEY:=...}'",
    ])
  })

  test('[REL-7] switches providers and models on and off', async () => {
    const text = `version: '2'
providers:
  inference:
    - { provider_id: "\${env.X+one}", provider_type: remote::sample, config: { api_key: "\${env.NOT_SET}" } }
    - { provider_id: "\${env.Y:two}", provider_type: remote::sample, config: { max_tokens: "\${env.N:4096}" } }
models:
  - { model_id: "\${env.M:}", provider_id: two }
  - { model_id: a, provider_id: "\${env.X+one}" }`
    const { config } = await load(text)
    expect(config.providers.map(({ id }) => id)).toEqual(['two'])
    expect(config.providers[0]?.config).toMatchObject({ max_tokens: 4096 })
    expect(config.models).toEqual([])
    const on = await load(text.replace('${env.NOT_SET}', 'k'), { env: { X: '1', M: 'm' } })
    expect([on.config.providers.map(({ id }) => id), on.config.models.map(({ modelId }) => modelId)]).toEqual([
      ['one', 'two'],
      ['m', 'a'],
    ])
  })

  test('[REL-7] every reference means what its grammar says', async () => {
    const name = fc.stringMatching(/^[A-Z][A-Z0-9_]{0,8}$/)
    const value = fc.stringMatching(/^[a-z][a-z0-9:+=./-]{0,10}$/)
    const operator = fc.constantFrom(':=', ':+', ':', '+')
    await fc.assert(
      fc.asyncProperty(
        name,
        operator,
        fc.option(value, { nil: '' }),
        fc.option(value, { nil: undefined }),
        async (variable, by, text, set) => {
          const env = set === undefined ? {} : { [variable]: set }
          const source = withConfig(`headers: { a: "<\${env.${variable}${by}${text}}>" }`)
          const { headers } = (await settingsOf(source, { env })) as { headers: { a: string } }
          const isConditional = by.endsWith('+')
          expect(headers.a).toBe(`<${isConditional ? (set === undefined ? '' : text) : (set ?? text)}>`)
        },
      ),
      { numRuns: 60 },
    )
  })
})

describe('[REL-8] server.auth as Llama Stack 0.2 wrote it', () => {
  test('[REL-8] authenticates as the present form does', async () => {
    const settings = 'api_server_url: "https://k.example", ca_cert_path: null, claims_mapping: { username: roles }'
    const { config, warnings: warned } = await load(older('provider_type: kubernetes', `config: { ${settings} }`))
    const present = await load(older(`provider_config: { type: kubernetes, ${settings.replace('ca_cert_path', 'tls_cafile')} }`))
    expect(config.auth).toEqual(present.config.auth)
    expect(config.auth?.authenticators).toMatchObject([{ type: 'kubernetes', apiServerUrl: 'https://k.example' }])
    expect(warned.filter(({ path }) => path === 'server.auth.provider_type')).toMatchObject([
      { line: 5, message: expect.stringContaining('write provider_config: { type: ..., with the keys of config }') as string },
    ])
    const policy = await load(older('provider_type: api_key', 'access_policy: [{ permit: { actions: [read] } }]'))
    expect([policy.config.auth?.authenticators.length, policy.config.accessPolicy.isDefault]).toEqual([1, false])
  })

  test('[REL-8] through the front door: callers without a credential are refused', async () => {
    await using service = await mockUpstream()
    service.respond(() => ({ body: JSON.stringify({ principal: 'ann', attributes: {} }) }))
    const text = older('provider_type: custom', `config: { endpoint: "${service.url}/auth" }`)
    const { config } = await load(text)
    await using server = await testServer({ ...config, audit: undefined })
    expect((await server.fetch('/v1/models')).status).toBe(401)
    expect((await server.fetch('/v1/models', { headers: { authorization: 'Bearer t' } })).status).toBe(200)
  })

  test('[REL-8] what it does not understand stops the start', async () => {
    expect(await problems(older('provider_type: kerberos', 'config: {}'))).toEqual(saying('must be one of oauth2_token'))
    expect(await problems(older('provider_type: kubernetes', 'config: { realm: x }'))).toEqual(
      saying('server.auth.config.realm: unknown key.'),
    )
    expect(await problems(older('provider_type: kubernetes', 'config: [x]'))).toEqual(saying('server.auth.config: must be a map'))
    expect(await problems(older('provider_type: kubernetes', 'provider_config: { type: api_key }'))).toEqual(
      expect.arrayContaining(saying('is the older form of provider_config, which is also set')),
    )
    // A type that is empty switches it off, as in the present form.
    const off = await load(older('provider_type: "${env.AUTH:+kubernetes}"', 'config: { api_server_url: "${env.NOT_SET}" }'))
    expect(off.config.auth).toBeUndefined()
    expect(off.warnings.map(({ message }) => message).join()).toContain('is empty: this authentication is switched off')
  })
})
