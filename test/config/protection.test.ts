import { describe, expect, test } from 'bun:test'
import { parseConnectionString } from '../../src/config/connection-string.ts'
import { load, problems, warnings, withServer } from './loading.ts'

const top = (...lines: string[]) => ['version: 2', 'providers: { inference: [] }', ...lines].join('\n')
const provider = (rest: string) => `version: 2\nproviders:\n  inference: [{ provider_id: o, provider_type: "remote::sample", ${rest} }]`
const message = (text: string) => [expect.stringContaining(text) as string]

describe('[REL-11] settings that protect', () => {
  test('[REL-11] under names that are not known stop the start, however far from the right name', async () => {
    for (const key of [
      'authentication: { provider_config: { type: api_key } }',
      'authorization: { enabled: true }',
      'auth_config: { provider_config: { type: api_key } }',
      'oauth: {}',
      'access_policies: [{ permit: { actions: read } }]',
      'multi_tenancy: true',
      'tls: { certfile: a.pem, keyfile: b.pem }',
      'mtls: true',
      'request_quota: { requests: 1 }',
      'key_pepper: 0123456789abcdef',
    ]) {
      expect([key, await problems(withServer(key))]).toEqual([
        key,
        message(key.startsWith('access') ? 'has no effect here: policies belong' : 'unknown key'),
      ])
    }
    for (const key of ['auht: { provider_config: { type: api_key } }', 'authentication: {}', 'quotas: { period: day }']) {
      expect([key, await problems(top(key))]).toEqual([key, message('unknown key')])
    }
    expect(await problems(top('tenancy: { mode: multi }'))).toEqual(message('move it to server.tenancy'))
    expect(await problems(top('tls_config: { ciphers: [x] }'))).toEqual(message('move it to server.tls_config'))
    // Nothing that a later release may bring.
    expect(await warnings(top('author: me', 'server: { session_store: {}, grpc_port: 9 }'))).toHaveLength(4)
  })

  test('[REL-11] policies in an entry of a provider or a model stop the start', async () => {
    const policy = 'access_policy: [{ forbid: { actions: read } }]'
    const models = `registered_resources: { models: [{ model_id: m, provider_id: o, ${policy} }] }`
    for (const text of [provider(policy), provider(`config: { ${policy} }`), `${provider('config: {}')}\n${models}`]) {
      expect(await problems(text)).toEqual(message('access_policy: has no effect here: policies belong in server.auth'))
    }
    // The provider is not served: no caller reaches it.
    const unserved = `version: 2\nproviders:\n  safety: [{ provider_id: o, provider_type: "inline::llama-guard", ${policy} }]`
    expect((await warnings(unserved)).join()).toContain('has no effect here: policies belong')
  })

  test('[REL-11] an authenticator whose type is empty in the file is a mistake, not a condition', async () => {
    for (const type of ['null', '""', '~']) {
      for (const form of [
        `provider_config: { type: ${type}, jwks: { uri: "https://x" } }`,
        `provider_config: [{ type: ${type} }]`,
        `provider_type: ${type}`,
      ]) {
        expect([form, await problems(withServer(`auth: { ${form} }`))]).toEqual([form, message('must be one of oauth2_token')])
      }
    }
  })

  test('[REL-11] tenancy without a mode does not pass for separated tenants', async () => {
    const auth = 'auth: { provider_config: { type: api_key } }'
    for (const tenancy of ['{ mode: null }', '{ mode: "${env.NOT_SET:=}" }']) {
      expect([tenancy, await problems(withServer(auth, `tenancy: ${tenancy}`))]).toEqual([
        tenancy,
        message('server.tenancy.mode: is empty'),
      ])
    }
    expect((await warnings(withServer(auth, 'tenancy: { default_tenant_id: acme }'))).join()).toContain('has no effect without a mode')
    for (const off of ['{}', 'null', '{ mode: disabled, default_tenant_id: acme }']) {
      expect((await load(withServer(auth, `tenancy: ${off}`))).config.auth?.tenancy).toBeUndefined()
    }
  })
})

const guarded = (policy: string) => withServer(`auth: { provider_config: { type: api_key }, ${policy} }`)

describe('[REL-11] settings that come out empty', () => {
  const empty = '"${env.NOT_SET:=}"'

  test.each([
    `access_policy: [{ permit: { actions: read, principal: ${empty} } }]`,
    `access_policy: [{ permit: { actions: read, resource: ${empty} } }]`,
    `access_policy: [{ permit: { actions: read }, when: ${empty} }]`,
    `access_policy: [{ permit: { actions: read }, when: [user is owner, ${empty}] }]`,
    `access_policy: ${empty}`,
    `route_policy: [{ permit: { paths: "*" }, when: ${empty} }]`,
  ])('[REL-11] in a policy stop the start: %s', async (policy) => {
    expect((await problems(guarded(policy))).join()).toContain('is empty')
    const env = { NOT_SET: 'user with admin in roles' }
    if (policy.includes('when: "')) expect((await load(guarded(policy), { env })).config.auth).toBeDefined()
  })

  test('[REL-11] in a policy are accepted as a description, or as null in the file', async () => {
    await load(guarded(`access_policy: [{ permit: { actions: read, principal: null }, when: null, description: ${empty} }]`))
  })

  test('[REL-11] of TLS are a warning, also for client certificates', async () => {
    const warned = (await warnings(withServer(`tls_certfile: ${empty}`, `tls_keyfile: ${empty}`, `tls_cafile: ${empty}`))).join()
    expect(warned).toContain('server.tls_certfile: is empty: HTTPS is switched off')
    expect(warned).toContain('server.tls_cafile: is empty: clients need no certificate')
  })
})

test('[REL-4] a connection string under another key is an error that does not show it', async () => {
  for (const key of ['uri', 'url', 'dsn', 'database_url']) {
    const backend = `n: { type: sql_postgres, ${key}: "postgresql://u:geheim@db.example/x" }`
    const text = `version: 2\nproviders: {}\nstorage: { backends: { ${backend} }, stores: { metadata: { backend: n } } }`
    const found = (await problems(text)).join()
    expect([key, found]).toEqual([key, expect.stringContaining("Did you mean 'connection_string'?") as string])
    expect(found).not.toContain('geheim')
  }
})

test('[REL-3] a needed backend of an unknown type is an error that names the known ones', async () => {
  const text = 'version: 2\nproviders: {}\nstorage: { backends: { n: { type: kv_etcd } }, stores: { metadata: { backend: n } } }'
  expect((await problems(text)).join()).toContain('storage.backends.n.type: must be one of kv_sqlite, kv_redis')
})

test('[REL-7] a nested reference is a warning', async () => {
  const found = await warnings('version: 2\ndistro_name: "${env.A:=${env.B:=c}}"\nproviders: {}')
  expect(found.join()).toContain("references cannot be nested: the default of A ends at the first '}'")
})

test('[REL-4] a connection string with a colon and no port has the default port, as in libpq', () => {
  expect(parseConnectionString('postgresql://u:p@h:/db')).toMatchObject({ host: 'h', port: undefined, database: 'db', password: 'p' })
  expect(parseConnectionString('postgresql://u:p@[::1]:')).toMatchObject({ host: '::1', port: undefined })
})
