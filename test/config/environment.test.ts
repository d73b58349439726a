import { describe, expect, test } from 'bun:test'
import type { Secret } from '../../src/secret.ts'
import { load, problems, settingsOf, warnings, withConfig, withServer } from './loading.ts'

describe('environment references', () => {
  const cases: [name: string, written: string, env: Record<string, string>, expected: unknown][] = [
    ['a set variable', '${env.X}', { X: 'value' }, 'value'],
    ['a default in the place of an unset one', '${env.X:=other}', {}, 'other'],
    ['a default in the place of an empty one', '${env.X:=other}', { X: '' }, 'other'],
    ['a set variable before its default', '${env.X:=other}', { X: 'value' }, 'value'],
    ['a value where a variable is set', '${env.X:+there}', { X: 'value' }, 'there'],
    ['references within a text', 'http://${env.H}:${env.P:=80}/v1', { H: 'h', P: '' }, 'http://h:80/v1'],
    ['white space around a value', '${env.X}', { X: ' value\n' }, 'value'],
    ['the home folder in a value', '${env.X}', { X: '~/models' }, '/home/me/models'],
    ['the home folder in a default', '${env.X:=~/models}/a', {}, '/home/me/models/a'],
    ['a tilde elsewhere', '${env.X}', { X: 'a~/b' }, 'a~/b'],
    ['digits in names', '${env.X_1}', { X_1: 'value' }, 'value'],
    ['a default that ends at the first brace', '${env.X:=a{b}}', {}, 'a{b}'],
    ['a default with a colon', '${env.X:=http://localhost:1}', {}, 'http://localhost:1'],
  ]
  for (const [name, written, env, expected] of cases) {
    test(`[CFG-1] expand ${name}`, async () => {
      expect((await settingsOf(withConfig(`base_url: "${written}"`), { env })).base_url).toBe(expected as string)
    })
  }

  test('[CFG-1] an empty result counts as not given: the default holds', async () => {
    const settings = await settingsOf(withConfig('base_url: ${env.X:=}', 'max_tokens: ${env.Y:+5}', 'api_key: ${env.Z:=}'))
    expect(settings).toEqual({ base_url: 'https://sample.example/v1', max_tokens: null, api_key: null })
  })

  test('[CFG-1] an unset variable without default is an error that names it and its place', async () => {
    expect(
      await problems(withConfig('base_url: http://${env.HOST_OF_IT}/', 'api_key: ${env.KEY_OF_IT}'), { env: { KEY_OF_IT: '  ' } }),
    ).toEqual([
      '7:9 providers.inference[0].config.base_url: the environment variable HOST_OF_IT is not set. Set it, or give a default: ${env.HOST_OF_IT:=...}',
      '8:9 providers.inference[0].config.api_key: the environment variable KEY_OF_IT is not set. Set it, or give a default: ${env.KEY_OF_IT:=...}',
    ])
  })

  test('an invalid reference is reported and stays as it is', async () => {
    const text = withConfig('base_url: ${env.lower:=a}', 'api_key: ${env.X?old}')
    const settings = await settingsOf(text)
    expect([settings.base_url, (settings.api_key as Secret).reveal()]).toEqual(['${env.lower:=a}', '${env.X?old}'])
    expect(await warnings(text)).toHaveLength(2)
    expect((await warnings(text))[0]).toContain("'${env.lower:=a}' is not an environment reference")
  })

  test('keys are never expanded', async () => {
    const settings = await settingsOf(withConfig('extra:', '  ${env.X}: 1'), { env: { X: 'value' } })
    expect(settings.extra).toEqual({ '${env.X}': 1 })
  })
})

describe('what a substituted text becomes', () => {
  const retyped: [key: string, value: string, expected: unknown][] = [
    ['max_tokens', '4096', 4096],
    ['max_tokens', '007', 7],
    ['temperature', '0.5', 0.5],
    ['temperature', '1e0', 1],
    ['temperature', '-2', -2],
    ['refresh_models', 'True', true],
    ['refresh_models', 'false', false],
    ['verify', 'true', true],
    ['verify', '/ca.pem', '/ca.pem'],
    ['mode', 'fast', 'fast'],
    ['base_url', '12345', '12345'],
    ['base_url', 'true', 'true'],
    ['base_url', '0012', '0012'],
    ['base_url', '12345678901234567890', '12345678901234567890'],
  ]
  for (const [key, value, expected] of retyped) {
    test(`[CFG-1] ${key}: '${value}'`, async () => {
      expect((await settingsOf(withConfig(`${key}: \${env.X}`), { env: { X: value } }))[key]).toBe(expected)
      expect((await settingsOf(withConfig(`${key}: \${env.X:=${value}}`)))[key]).toBe(expected)
    })
  }

  for (const key of ['12345', '00123', '12345678901234567890', '1e5', '0x1F', '1.50', 'true', '0o17', '-0']) {
    test(`[CFG-2] the key '${key}' stays what it is, from the environment and in the file`, async () => {
      const fromEnv = await settingsOf(withConfig('api_key: ${env.KEY}', 'headers:', '  x: ${env.KEY}'), { env: { KEY: key } })
      const fromFile = await settingsOf(withConfig(`api_key: ${key}`, 'headers:', `  x: ${key}`))
      expect([fromEnv, fromFile].map((one) => [(one.api_key as Secret).reveal(), one.headers])).toEqual([
        [key, { x: key }],
        [key, { x: key }],
      ])
    })
  }

  test('where anything is allowed, plain numbers and booleans are converted as Llama Stack does', async () => {
    const settings = await settingsOf(
      withConfig('extra:', '  dimension: ${env.D:=768}', '  on: ${env.O:=true}', '  code: ${env.C:=007}', '  api_key: ${env.K}'),
      {
        env: { K: '12345' },
      },
    )
    expect(settings.extra).toEqual({ dimension: 768, on: true, code: '007', api_key: '12345' })
  })

  test("YAML 1.1's yes and no are read where a boolean is wanted, and text elsewhere", async () => {
    expect(await settingsOf(withConfig('refresh_models: yes', 'base_url: no'))).toEqual({ refresh_models: true, base_url: 'no' })
  })
})

/** A file whose first entry could not be read if it counted. */
const entry = (id: string) => `version: 2
providers:
  inference:
    - provider_id: ${id}
      provider_type: remote::nobody-knows
      config: { base_url: "\${env.NOT_SET}" }
    - provider_id: two
      provider_type: remote::sample`

const list = (first: string) =>
  withServer('auth:', '  provider_config:', `    - { type: "${first}", endpoint: "\${env.ENDPOINT}" }`, '    - { type: api_key }')

describe('what switches off', () => {
  for (const id of ['null', '""', '~', '__disabled__', '${env.X:+one}', '${env.X:=}', '${env.X:=__disabled__}']) {
    test(`[CFG-8] provider_id: ${id} drops the entry before its other fields are read`, async () => {
      const { config } = await load(entry(id))
      expect(config.providers.map((one) => one.id)).toEqual(['two'])
    })
  }

  test('[CFG-8] the same entries count once their variable is set', async () => {
    const { warnings: warned } = await load(entry('${env.X:+one}'), { env: { X: '1' } })
    expect(warned.map((issue) => issue.path)).toEqual(['providers.inference[0].provider_type'])
  })

  test('an entry without any provider_id is a mistake, not a disabled one', async () => {
    expect(await problems('version: 2\nproviders:\n  inference:\n    - provider_typ: remote::sample')).toEqual([
      "4:7 providers.inference[0].provider_typ: unknown key. Did you mean 'provider_type'?",
      '4:7 providers.inference[0].provider_id: is required',
      '4:7 providers.inference[0].provider_type: is required',
    ])
  })

  test('[CFG-1] list entries whose id is empty are dropped', async () => {
    const text = `${withConfig('mode: fast')}
models:
  - model_id: \${env.ALIAS:=}
    provider_id: one
    provider_model_id: \${env.NOT_SET}
  - model_id: fast
    provider_id: one`
    expect((await load(text)).config.models.map((one) => one.modelId)).toEqual(['fast'])
  })

  test('[CFG-1] conditional authentication that is off is no error, and its other fields are not expanded', async () => {
    const text = withServer('auth:', '  provider_config:', '    type: ${env.AUTH_TYPE:=}', '    jwks: { uri: "${env.JWKS_URI}" }')
    const off = await load(text)
    expect(off.config.auth).toBeUndefined()
    expect(off.warnings.map(({ path, message }) => `${path}: ${message}`)).toContain(
      'server.auth.provider_config.type: is empty: this authentication is switched off',
    )
    expect(await problems(text, { env: { AUTH_TYPE: 'oauth2_token' } })).toHaveLength(1)
    const { config } = await load(text, { env: { AUTH_TYPE: 'oauth2_token', JWKS_URI: 'https://idp.example/keys' } })
    expect(config.auth?.authenticators[0]).toMatchObject({ type: 'oauth2_token', check: { uri: 'https://idp.example/keys' } })
  })

  test('[CFG-1] so is one of several authenticators; the others stay', async () => {
    expect((await load(list('${env.CUSTOM:+custom}'))).config.auth?.authenticators).toEqual([{ type: 'api_key' }])
    const { config } = await load(list('${env.CUSTOM:+custom}'), { env: { CUSTOM: '1', ENDPOINT: 'http://x' } })
    expect(config.auth?.authenticators.map(({ type }) => type)).toEqual(['custom', 'api_key'])
  })
})

describe('values of variables', () => {
  test('never stand in an error message', async () => {
    const env = { SECRET: 'sk-live-4711-abc', PORT_X: 'eighty-thousand', TYPE: 'remote::samplo' }
    const text = `version: 2
providers:
  inference:
    - provider_id: \${env.SECRET}
      provider_type: \${env.TYPE}
    - provider_id: two
      provider_type: remote::sample
      config: { mode: "\${env.SECRET}", max_tokens: "\${env.SECRET}", network: "\${env.SECRET}" }
models:
  - { model_id: a, provider_id: "\${env.SECRET}", model_type: "\${env.SECRET}" }
server:
  port: \${env.PORT_X}
  host: \${env.SECRET}
storage:
  stores: { metadata: { backend: "\${env.SECRET}" } }`
    const all = (await problems(text, { env })).join('\n')
    for (const value of Object.values(env)) expect(all).not.toContain(value)
    expect(all).toContain("unknown provider type '${env.TYPE}' for inference")
  })
})

const logging = async (env: Record<string, string>) => (await load('providers: {}', { env })).config.logging

test('NO_COLOR takes the colours out of the log for people', async () => {
  expect((await logging({})).colour).not.toBe(false)
  expect((await logging({ NO_COLOR: '1' })).colour).toBe(false)
  expect((await logging({ TERM: 'dumb' })).colour).toBe(false)
  expect((await logging({ NO_COLOR: '1', FORCE_COLOR: '1' })).colour).not.toBe(false)
})
