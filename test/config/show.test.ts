import { describe, expect, test } from 'bun:test'
import Ajv2020 from 'ajv/dist/2020'
import { parse } from 'yaml'
import { configJsonSchema } from '../../src/config/json-schema.ts'
import { redact } from '../../src/config/redact.ts'
import { renderConfig } from '../../src/config/render.ts'
import { Secret } from '../../src/secret.ts'
import { plannedProviders, loadProviderDefinitions } from '../../src/providers/index.ts'
import { definitions, load, planned, withConfig } from './loading.ts'

const served = await loadProviderDefinitions()

describe('a configuration as it may be shown', () => {
  test('[CFG-9] no secret is in it', async () => {
    const text = `${withConfig(
      'api_key: ${env.KEY}',
      'base_url: https://user:hunter2-url@sample.example/v1?api_key=query-secret-1',
      'headers: { Authorization: Bearer header-secret-1, X-Other: "${env.KEY}" }',
      'network: { proxy: "http://proxy-user:proxy-secret-1@proxy:3128" }',
      'extra: { password: extra-secret-1, nested: [{ client_secret: extra-secret-2 }], note: "uses ${env.KEY}", max_tokens: 5 }',
    )}
models: [{ model_id: a, provider_id: one, metadata: { hf_token: meta-secret-1 } }]`
    const shown = renderConfig((await load(text, { env: { KEY: 'env-secret-0815' } })).config)
    for (const secret of [
      'env-secret-0815',
      'hunter2',
      'query-secret-1',
      'header-secret-1',
      'proxy-secret-1',
      'extra-secret-1',
      'extra-secret-2',
      'meta-secret-1',
    ]) {
      expect(shown).not.toContain(secret)
    }
    expect(parse(shown).providers.inference[0].config).toEqual({
      base_url: 'https://***@sample.example/v1?api_key=***',
      api_key: '***',
      headers: { Authorization: '***', 'X-Other': '***' },
      network: { proxy: 'http://***@proxy:3128' },
      extra: { password: '***', nested: [{ client_secret: '***' }], note: 'uses ***', max_tokens: 5 },
    })
  })

  test('[CFG-9] nor of who is asking, how much and where it is kept, which are shown as they are written', async () => {
    const text = `providers: {}
server:
  trusted_proxies: [10.0.0.0/8]
  auth:
    provider_config:
      - type: oauth2_token
        introspection: { url: "https://who:pw-secret-1@idp.example/check", client_id: corral, client_secret: "\${env.CLIENT}" }
      - { type: oauth2_token, jwks: { uri: "https://idp.example/keys?key=query-secret-2", token: jwks-secret-3 } }
      - { type: upstream_header, principal_header: X-User }
    key_pepper: pepper-secret-4-long-enough
    access_policy:
      - permit: { actions: [read], resource: "model::\${env.MODEL:=groq/*}" }
        when: user with admin in roles
  quota:
    kvstore: { backend: counters }
    limits: [{ per: team, dollars: 5, period: month }]
  egress: { allow: [mcp.internal] }
storage:
  backends:
    counters: { type: kv_redis, host: redis, password: redis-secret-5 }
    main: { type: sql_postgres, host: db, user: corral, password: "\${env.PG}", db: corral }
  stores:
    inference: { backend: main }`
    const env = { CLIENT: 'client-secret-6', PG: 'pg-secret-7' }
    const shown = renderConfig((await load(text, { env })).config)
    expect(shown.match(/\w+-secret-\d/g)).toBeNull()
    expect(parse(shown)).toMatchObject({
      server: {
        trusted_proxies: ['10.0.0.0/8'],
        auth: {
          provider_config: [
            { type: 'oauth2_token', introspection: { url: 'https://***@idp.example/check', client_id: 'corral', client_secret: '***' } },
            { jwks: { uri: 'https://idp.example/keys?key=***', token: '***' } },
            { principal_header: 'X-User' },
          ],
          key_pepper: '***',
          access_policy: [{ permit: { actions: ['read'], resource: 'model::groq/*' }, when: 'user with admin in roles' }],
        },
        quota: { kvstore: { backend: 'counters' }, limits: [{ per: 'team', dollars: 5, period: 'month' }] },
        egress: { allow: ['mcp.internal'] },
      },
      storage: {
        backends: { counters: { type: 'kv_redis', host: 'redis', password: '***' }, main: { type: 'sql_postgres', password: '***' } },
        stores: { metadata: { backend: 'main' } },
      },
    })
  })

  test('is a configuration again, with defaults, flags and variables in effect', async () => {
    const text = `${withConfig('mode: fast')}\nserver: { cors: true, workers: 2, host: 0.0.0.0, allow_unauthenticated: true }\nlogging: { category_levels: { all: debug } }`
    const { config } = await load(text, { flags: { port: 99 } })
    const shown = renderConfig(config)
    const again = await load(shown)
    expect(again.warnings).toEqual([])
    expect(again.config.server).toEqual({
      ...config.server,
      cors: { ...config.server.cors!, allowOriginRegex: again.config.server.cors!.allowOriginRegex! },
    })
    expect([again.config.server.port, again.config.logging, again.config.providers[0]?.id]).toEqual([
      99,
      { categoryLevels: { all: 'debug' } },
      'one',
    ])
  })

  test('what only looks like a secret is shown', () => {
    const harmless = {
      max_tokens: 5,
      default_chunk_size_tokens: 512,
      tokens_per_minute: 'many',
      aws_web_identity_token_file: '/var/token',
      tls_keyfile: '/k.pem',
      forward_headers: { key: 'X-Key' },
    }
    expect(redact(harmless)).toEqual(harmless)
    expect(redact({ a: new Secret('s'), b: [new Secret('t')], c: null, d: new Map([['api_key', 'x']]) })).toEqual({
      a: '***',
      b: ['***'],
      c: null,
      d: { api_key: '***' },
    })
  })
})

const file = (config: object, rest: object = {}) => ({
  version: 2,
  providers: { inference: [{ provider_id: 'one', provider_type: 'remote::sample', config }] },
  ...rest,
})

describe('the JSON Schema for editors', () => {
  const ajv = new Ajv2020({ strict: false })
  const small = ajv.compile(configJsonSchema({ definitions, planned }))
  const full = ajv.compile(configJsonSchema({ definitions: served, planned: plannedProviders }))
  test('takes what the loader takes, references in the place of any single value included', () => {
    for (const good of [
      file({ max_tokens: 5, mode: 'fast' }),
      file({ max_tokens: '${env.N:=5}', mode: '${env.MODE}', refresh_models: '${env.R:=true}' }),
      file(
        {},
        { server: { port: '${env.PORT:=8321}', cors: '${env.CORS:=true}' }, models: [{ model_id: 'a', model_type: '${env.T:=llm}' }] },
      ),
      file({ max_tokens: '5', temperature: '0.5', refresh_models: 'True' }, { server: { port: '8321', workers: '2' } }),
      file({}, { server: { cors: { allow_origins: ['*'] } }, storage: { backends: { a: { type: 'kv_sqlite', db_path: 'x' } } } }),
      {
        providers: {
          inference: [{ provider_id: null, provider_type: 'remote::sample' }],
          vector_io: [{ provider_id: 'x', provider_type: 'inline::faiss', config: { a: 1 } }],
        },
      },
    ]) {
      expect([good, small(good), small.errors]).toEqual([good, true, null])
    }
  })

  test('marks slips', () => {
    for (const bad of [
      file({ max_tokens: 'five' }),
      file({ refresh_models: '5' }),
      file({ mode: 'medium' }),
      file({ basurl: 'x' }),
      file({}, { sevrer: {} }),
      file({}, { server: { prot: 1 } }),
      file({}, { server: { port: 70_000 } }),
      { version: 1, providers: {} },
      { version: 2 },
    ]) {
      expect([bad, small(bad)]).toEqual([bad, false])
    }
  })

  test('describes every provider that is served', () => {
    for (const { api, type } of served) {
      const good = { providers: { [api]: [{ provider_id: 'x', provider_type: type, config: null }] } }
      expect([type, full(good), full.errors]).toEqual([type, true, null])
      const bad = { providers: { [api]: [{ provider_id: 'x', provider_type: type, config: { surely_no_key_of_it: 1 } }] } }
      expect([type, full(bad)]).toEqual([type, false])
    }
    expect(JSON.stringify(configJsonSchema({ definitions: served, planned: plannedProviders }))).toContain('remote::groq')
  })
})
