import { describe, expect, test } from 'bun:test'
import { createAllowList } from '../../src/egress/allow-list.ts'
import { createEgress } from '../../src/egress/egress.ts'
import { createGuard } from '../../src/egress/guard.ts'
import { egressSchema } from '../../src/egress/schema.ts'
import { callerUrl, scriptedResolver } from './test-egress.ts'

describe('what the operator lists is let through, and nothing beside it', () => {
  const names = {
    'llm.internal': ['10.0.0.1'],
    'a.svc.cluster.local': ['10.0.0.2'],
    'svc.cluster.local': ['10.0.0.3'],
    'evil-svc.cluster.local': ['10.0.0.4'],
    'mixed.example': ['8.8.8.8', '10.9.0.1'],
    'xn--bcher-kva.internal': ['10.0.0.5'],
  }
  const admitted = async (allow: readonly string[], url: string): Promise<boolean> => {
    const guard = createGuard({ allow: createAllowList(allow), resolve: scriptedResolver(names).resolve, ownAddresses: () => [] })
    const judging = { signal: new AbortController().signal, timeout: 1000 }
    const error: unknown = await guard.admit(callerUrl(url), judging).catch((reason: unknown) => reason)
    if (error instanceof Error) expect(error).toMatchObject({ code: 'url_not_allowed' })
    return !(error instanceof Error)
  }

  test.each([
    ['a host', ['llm.internal'], 'http://llm.internal/', true],
    ['a host in other letters and with a dot', ['LLM.Internal.'], 'http://llm.INTERNAL./', true],
    ['an international host', ['bücher.internal'], 'http://BÜCHER.internal/', true],
    ['another host', ['llm.internal'], 'http://a.svc.cluster.local/', false],
    ['a host’s address', ['llm.internal'], 'http://10.0.0.1/', false],
    ['a host on its port', ['llm.internal:8000'], 'http://llm.internal:8000/', true],
    ['a host on another port', ['llm.internal:8000'], 'http://llm.internal:8001/', false],
    ['a host on the usual port', ['llm.internal:443'], 'https://llm.internal/', true],
    ['a suffix', ['*.svc.cluster.local'], 'http://a.svc.cluster.local/', true],
    ['the bare suffix', ['*.svc.cluster.local'], 'http://svc.cluster.local/', false],
    ['what only ends alike', ['*.svc.cluster.local'], 'http://evil-svc.cluster.local/', false],
    ['a range, by number', ['10.0.0.0/24'], 'http://10.0.0.77/', true],
    ['a range, by name', ['10.0.0.0/24'], 'http://llm.internal/', true],
    ['beside a range', ['10.0.0.0/24'], 'http://10.0.1.1/', false],
    ['a range of half the addresses', ['10.0.0.0/24'], 'http://mixed.example/', false],
    ['a range and the public rest', ['10.9.0.0/16'], 'http://mixed.example/', true],
    ['an address', ['10.0.0.1'], 'http://167772161/', true],
    ['an address on another port', ['10.0.0.1:80'], 'http://10.0.0.1:81/', false],
    ['a mapped address', ['10.0.0.1'], 'http://[::ffff:10.0.0.1]/', true],
    ['an IPv6 address', ['fd00::5'], 'http://[fd00::5]/', true],
    ['an IPv6 address with its port', ['[fd00::5]:99'], 'http://[fd00::5]:99/', true],
    ['an IPv6 range', ['fd00:1::/32'], 'http://[fd00:1::5]/', true],
    ['a name that is another spelling of loopback', ['localhost'], 'http://127.0.0.1/', false],
  ] as const)('[EGR-4] %s', async (_, allow, url, expected) => {
    expect(await admitted(allow, url)).toBe(expected)
  })

  test.each([
    '*',
    '*.',
    '',
    'http://x',
    'a/b',
    '10.0.0.0/33',
    '10.0.0.0/0',
    '::/0',
    'host:99999',
    'host:0',
    'a b',
    'user@host',
    '*.*.x',
    '[::1',
    'a?b',
  ])('the entry %p is no entry', (entry) => {
    expect(() => createEgress({ allow: [entry] })).toThrow(TypeError)
    expect(egressSchema.safeParse({ allow: [entry] }).error?.issues[0]).toMatchObject({ path: ['allow', 0] })
  })
})

test('the configuration says what is allowed, and nothing by default', () => {
  expect(egressSchema.parse({})).toEqual({ allow: [] })
  expect(egressSchema.parse({ allow: ['llm.internal:8000', '*.svc.cluster.local', '10.1.0.0/16', 'fd00::/8'] }).allow).toHaveLength(4)
  expect(egressSchema.safeParse({ refuse: [] }).success).toBe(false)
})
