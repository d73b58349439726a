import { describe, expect, test } from 'bun:test'
import { ConfigErrors } from '../../src/config/report.ts'
import { issuesOf, load, problems, warnings, withConfig, withServer } from './loading.ts'

const minimal = 'version: 2\nproviders: {}'

/** Ten times another anchor. */
const level = (name: string, inner: string) => `${name}: &${name} [${Array(10).fill(`*${inner}`).join(', ')}]`

describe('text that is no configuration', () => {
  const cases: [name: string, text: string, expected: RegExp][] = [
    ['nothing', '', /^1:1: the file is empty/],
    ['comments only', '# nothing\n', /^1:1: the file is empty/],
    ['a list', '- a\n- b', /^1:1: the file must hold keys and values .* not a list$/],
    ['a word', 'starter of mine\n', /^1:1: the file must hold keys and values .* not a single value$/],
    ['a tab', 'version: 2\nproviders:\n\tinference: []', /^3:1: a tab indents this line: YAML wants spaces$/],
    ['a key twice', 'version: 2\nserver:\n  port: 1\n  port: 2', /^4:3: duplicate key$/],
    ['two documents', 'version: 2\n---\nversion: 2', /^2:1: a second document starts here/],
    ['an open bracket', 'apis: [inference', /^\d:\d+: not valid YAML: /],
    ['an alias without anchor', 'version: 2\nserver: *base', /^2:\d+ server: the alias \*base names no anchor/],
    ['a map as a key', '? {a: b}\n: c', /: a key must be plain text$/],
    ['a key that would change the object', '__proto__: { a: 1 }', /cannot be a key/],
    ['100,000 brackets', '['.repeat(100_000), /nested|not valid YAML/],
    ['an anchor in itself', 'version: 2\nserver: &a\n  cors: *a', /nested more than 100 levels deep/],
  ]
  for (const [name, text, expected] of cases) {
    test(name, async () => {
      const found = await problems(text)
      expect(found.some((line) => expected.test(line))).toBe(true)
    })
  }

  test('aliases that multiply are stopped', async () => {
    const names = 'abcdefghij'.split('')
    const bomb = ['x0: &x0 [1]', ...names.map((name, index) => level(name, index === 0 ? 'x0' : names[index - 1]!))].join('\n')
    expect((await problems(bomb)).join()).toContain('more than 100000 values')
  })
})

describe('what YAML offers', () => {
  test('anchors, aliases and merge keys', async () => {
    const { config } = await load(`version: 2
providers:
  inference:
    - &base
      provider_id: one
      provider_type: remote::sample
      config: &settings { max_tokens: 5, mode: slow }
    - <<: *base
      provider_id: two
      config:
        <<: *settings
        mode: fast`)
    expect(config.providers.map((one) => [one.id, one.config])).toMatchObject([
      ['one', { max_tokens: 5, mode: 'slow' }],
      ['two', { max_tokens: 5, mode: 'fast' }],
    ])
  })

  test('JSON is read as well', async () => {
    const { config } = await load(JSON.stringify({ version: 2, image_name: 'json', providers: {}, server: { port: 80 } }, null, 2))
    expect([config.distribution, config.server.port]).toEqual(['json', 80])
  })
})

describe('all mistakes at once', () => {
  const broken = `version: 2
distro_nme: mine
apis: [inferense]
providers:
  inference:
    - provider_id: one
      provider_type: remote::sampel
    - provider_id: two
      provider_type: remote::sample
      config:
        url: https://x.example
        bas_url: https://x.example
        max_tokens: many
        mode: medium
        network: { proxi: x }
    - provider_id: two
      provider_type: remote::strict-url
registered_resources:
  models:
    - { model_id: a, provider_id: tow, model_type: lm }
server:
  prot: 8000
  port: 99999
  workers: 0
  cors: { allow_origins: ["*"], allow_credentials: true }
`

  test('[CFG-3] each has its line, its path and the nearest known key', async () => {
    expect(await problems(broken)).toEqual([
      "2:1 distro_nme: unknown key. Did you mean 'distro_name'?",
      "3:8 apis[0]: unknown API 'inferense'. Did you mean 'inference'?",
      "7:7 providers.inference[0].provider_type: unknown provider type 'remote::sampel' for inference; 'corral list providers' lists all. Did you mean 'remote::sample'?",
      "12:9 providers.inference[1].config.bas_url: unknown key. Did you mean 'base_url'?",
      '13:9 providers.inference[1].config.max_tokens: must be a number, not a string',
      '14:9 providers.inference[1].config.mode: must be one of "fast"|"slow"',
      "15:20 providers.inference[1].config.network.proxi: unknown key. Did you mean 'proxy'?",
      "16:7 providers.inference[2].provider_id: the id 'two' is taken by another provider of inference",
      '16:7 providers.inference[2].config.base_url: is required',
      "20:22 registered_resources.models[0].provider_id: unknown provider 'tow'. Did you mean 'two'?",
      '20:40 registered_resources.models[0].model_type: must be one of "llm"|"embedding"|"rerank"',
      "22:3 server.prot: unknown key. Did you mean 'port'?",
      '23:3 server.port: must be a port: 1 to 65535, or 0 for a free one',
      '24:3 server.workers: must be at least 1',
      '25:33 server.cors.allow_credentials: Cannot use wildcard origins with credentials enabled',
    ])
  })

  test('[CFG-3] the error itself holds them as data and as lines with the file', async () => {
    const error = await load(broken).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    expect(error).toBeInstanceOf(ConfigErrors)
    const { issues, message } = error as ConfigErrors
    expect(issues[0]).toEqual({ file: 'text', line: 2, column: 1, path: 'distro_nme', message: 'unknown key.', nearest: 'distro_name' })
    expect(message.split('\n')[0]).toBe("text:2:1 distro_nme: unknown key. Did you mean 'distro_name'?")
  })
})

describe('unknown keys', () => {
  test('far from every known key they are a warning, with the nearest where there is one', async () => {
    expect(await warnings(`${withConfig('url: x', 'zzz: 1')}\nfrom_the_future: 1`)).toEqual([
      "7:9 providers.inference[0].config.url: unknown key, ignored. Did you mean 'base_url'?",
      '8:9 providers.inference[0].config.zzz: unknown key, ignored.',
      '9:1 from_the_future: unknown key, ignored.',
    ])
  })

  test('[REL-2] in server they are an error in what protects, in sections of Corral’s own and near a known key, else a warning', async () => {
    expect(await warnings(withServer('from_the_future: 1', 'cors: { from_the_future: 1 }'))).toEqual([
      '2:1 providers: no provider is enabled: no models will be available',
      '4:3 server.from_the_future: unknown key, ignored.',
      '5:11 server.cors.from_the_future: unknown key, ignored.',
    ])
    for (const section of ['auth', 'quota', 'egress', 'audit']) {
      expect(await problems(withServer(`${section}: { from_the_future: 1 }`))).toEqual([
        expect.stringContaining(`server.${section}.from_the_future: unknown key.`) as string,
      ])
    }
    expect(await problems(withServer('auth: { provider_config: { type: api_key, from_the_future: 1 } }'))).toHaveLength(1)
    for (const key of ['tls_from_the_future', 'from_the_future_policy', 'prot', 'cors: { allow_origin: ["*"] }, x']) {
      expect(await problems(withServer(`{ ${key}: 1 }`))).toEqual([expect.stringContaining('unknown key.') as string])
    }
    for (const key of ['tls_certfile', 'audit', 'egress']) {
      expect(await problems(`providers: {}\n${key}: x`)).toEqual([`2:1 ${key}: has no effect here: move it to server.${key}`])
    }
    for (const key of ['tls_from_the_future', 'from_the_future_policy']) {
      expect(await problems(`providers: {}\n${key}: x`)).toEqual([expect.stringContaining(`${key}: unknown key.`) as string])
    }
    expect(await problems(withServer('from_the_future: 1'), { strict: true })).toEqual(['4:3 server.from_the_future: unknown key.'])
  })

  test('--strict makes all of them errors', async () => {
    const text = `${withConfig('url: x')}\nfrom_the_future: 1`
    expect(await problems(text, { strict: true })).toEqual([
      "7:9 providers.inference[0].config.url: unknown key. Did you mean 'base_url'?",
      '8:1 from_the_future: unknown key.',
    ])
  })

  test('Llama Stack keys without a meaning here pass in silence', async () => {
    expect(await warnings(`${withConfig('mode: fast')}\ncontainer_image: null\nbuilt_at: x`)).toEqual([])
  })
})

describe('versions', () => {
  for (const version of ['1', '3', '"2.1"', 'null', 'two']) {
    test(`version: ${version} is refused`, async () => {
      expect((await problems(`version: ${version}\nproviders: {}`))[0]).toStartWith(
        '1:1 version: this version reads configurations of version 2',
      )
    })
  }
  test("version: '2' and none at all are 2", async () => {
    expect((await load('version: "2"\nproviders: {}')).config.distribution).toBe('text')
    expect((await load('providers: {}')).config.distribution).toBe('text')
  })
  test('a file without providers gets a remedy', async () => {
    expect(await problems('version: 2')).toEqual(["1:1 providers: is missing: name at least one, or start with 'corral build'"])
  })
})

describe('what protects is never skipped', () => {
  /** Where it has no effect, with the place that it has been looked for. */
  const misplaced: [text: string, path: string, place: string][] = [
    [`${minimal}\nauth: { provider_config: { type: x } }`, 'auth', 'server.auth'],
    [`${minimal}\nquota: { period: day }`, 'quota', 'server.quota'],
    [`${minimal}\naccess_policy: [{}]`, 'access_policy', 'server.auth.access_policy'],
    [`${minimal}\nroute_policy: [{}]`, 'route_policy', 'server.auth.route_policy'],
    [withServer('access_policy: [{}]'), 'server.access_policy', 'server.auth.access_policy'],
    [withServer('route_policy: [{}]'), 'server.route_policy', 'server.auth.route_policy'],
    [withServer('provider_config: { type: custom }'), 'server.provider_config', 'server.auth.provider_config'],
  ]
  for (const [text, path, place] of misplaced) {
    test(`[CFG-5] ${path} is an error that names its place`, async () => {
      const issues = await issuesOf(text)
      expect(issues.map((issue) => [issue.path, issue.message])).toEqual([[path, `has no effect here: move it to ${place}`]])
    })
  }
  /** What cannot be understood stops the start, and the whole path leads to it. */
  const wrong: [string, string][] = [
    ['auth: { require_auth: true }', 'server.auth.require_auth'],
    ['auth: { provider_config: { type: magic } }', 'server.auth.provider_config.type'],
    ['auth: { provider_config: [] }', 'server.auth.provider_config'],
    ['auth: { provider_config: { type: upstream_header, principal_header: X-User } }', 'server.auth.provider_config.type'],
    [
      'auth: { provider_config: [{ type: custom, endpoint: "http://x", tls_cafile: nowhere.pem }] }',
      'server.auth.provider_config[0].tls_cafile',
    ],
    ['auth: [1]', 'server.auth'],
    ['auth: { access_policy: [{ permit: { actions: read }, when: user is mighty }] }', 'server.auth.access_policy[0].when'],
    ['auth: { access_policy: [{ permit: { actions: read, resource: "regex:(" } }] }', 'server.auth.access_policy[0].permit.resource'],
    ['auth: { route_policy: [{ forbid: { paths: ["/v1/*", "regex:["] } }] }', 'server.auth.route_policy[0].forbid.paths[1]'],
    ['auth: { route_policy: [{ forbid: { path: "*" } }] }', 'server.auth.route_policy[0].forbid.path'],
    ['auth: { route_policy: { paths: "*" } }', 'server.auth.route_policy'],
    ['auth: { key_pepper: short }', 'server.auth.key_pepper'],
    ['quota: { anonymous_max_requests: 0 }', 'server.quota.anonymous_max_requests'],
    ['quota: { period: fortnight }', 'server.quota.period'],
    ['quota: { limits: [{ requests: 10 }] }', 'server.quota.limits[0].period'],
    ['quota: { store: { backend: nowhere } }', 'server.quota.store.backend'],
    ['quota: { limit: [] }', 'server.quota.limit'],
    ['trusted_proxies: [10.0.0.0/8, proxy.example]', 'server.trusted_proxies[1]'],
    ['trusted_proxies: 10.0.0.0/8', 'server.trusted_proxies'],
    ['egress: { allow: ["*"] }', 'server.egress.allow[0]'],
    ['egress: { alow: [] }', 'server.egress.alow'],
    ['client_version_check: [latest]', 'server.client_version_check[0]'],
    ['audit: { folder: /x, keep_days: 0 }', 'server.audit.keep_days'],
  ]
  for (const [line, path] of wrong) {
    test(`[CFG-5] ${line} is an error at ${path}`, async () => {
      const issues = await issuesOf(withServer(line))
      expect(issues.map((issue) => [issue.path, issue.line])).toContainEqual([path, 4])
    })
  }
  for (const empty of ['auth:', 'auth: {}', 'auth: { provider_config: null, access_policy: [] }', 'quota: null', 'route_policy: []']) {
    test(`[CFG-5] '${empty}' holds nothing to skip`, async () => {
      const { config } = await load(withServer(empty))
      expect([config.auth, config.routePolicy, config.accessPolicy.isDefault, config.quota.limits, config.audit]).toEqual([
        undefined,
        undefined,
        true,
        [],
        undefined,
      ])
    })
  }
})

const fileWith = (id: string) =>
  `version: 2\nproviders:\n  inference:\n    - provider_id: ${JSON.stringify(id)}\n      provider_type: remote::sample`

test('a provider_id that would not do in a model id, a path or a line is refused, with its line', async () => {
  for (const id of ['my groq', 'a\nb', 'a\u001b[31m', '-x', '.', '../x', 'a?b', 'a#b', 'a%2Fb', 'x'.repeat(101), 'a\u202eb']) {
    const [issue, ...others] = await issuesOf(fileWith(id))
    expect([id, issue?.line, issue?.path, others]).toEqual([id, 4, 'providers.inference[0].provider_id', []])
    expect(issue?.message).toContain('a provider_id c')
  }
  for (const id of ['groq', 'my-groq_2', 'a.b', 'über', '名前', 'vllm:8000', 'x'.repeat(100)]) {
    expect((await load(fileWith(id))).config.providers.map((provider) => provider.id)).toEqual([id])
  }
})
