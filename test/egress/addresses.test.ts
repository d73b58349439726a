import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { parseAddress, whyNotPublic } from '../../src/egress/address.ts'
import { callerEgress, callerUrl, get, refusalOf } from './test-egress.ts'
import { runs } from '../../src/testing/sizes.ts'

/** IANA's special-purpose registries (RFC 6890 and its successors) with the platforms' own addresses: what no caller may reach. */
const specialV4 = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  ['255.255.255.255', 32],
  ['168.63.129.16', 32],
  ['161.26.0.0', 16],
  ['192.31.196.0', 24],
  ['192.52.193.0', 24],
  ['192.175.48.0', 24],
] as const

const specialV6 = [
  ['0', 128],
  ['1', 128],
  ['ffff00000000', 96],
  // IPv4-compatible, deprecated: nothing on the internet is there.
  ['0', 96],
  ['64ff9b000100000000000000000000', 48],
  ['01000000000000000000000000000000', 64],
  ['20010000000000000000000000000000', 23],
  ['20010db8000000000000000000000000', 32],
  ['20020000000000000000000000000000', 16],
  ['3fff0000000000000000000000000000', 20],
  ['5f000000000000000000000000000000', 16],
  ['fc000000000000000000000000000000', 7],
  ['fe800000000000000000000000000000', 10],
  ['fec00000000000000000000000000000', 10],
  ['ff000000000000000000000000000000', 8],
  ['40000000000000000000000000000000', 3],
  ['80000000000000000000000000000000', 2],
] as const

const v4Number = (text: string): number => text.split('.').reduce((sum, part) => sum * 256 + Number(part), 0)
const dotted = (value: number): string => [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join('.')

function isSpecialV4(value: number): boolean {
  return specialV4.some(([network, bits]) => Math.floor(value / 2 ** (32 - bits)) === Math.floor(v4Number(network) / 2 ** (32 - bits)))
}

const anyV4 = fc.oneof(
  fc.nat({ max: 2 ** 32 - 1 }),
  fc.constantFrom(...specialV4).chain(([network, bits]) => fc.nat({ max: 2 ** (32 - bits) - 1 }).map((rest) => v4Number(network) + rest)),
)
const inSpecialV6 = fc.constantFrom(...specialV6).chain(([network, bits]) => {
  const base = BigInt(`0x${network}`)
  return fc.bigInt({ min: 0n, max: 2n ** BigInt(128 - bits) - 1n }).map((rest) => base + rest)
})

/** As a URL may spell 128 bits: `[0:0:…]`. */
const groups = (value: bigint): string =>
  Array.from({ length: 8 }, (_, at) => ((value >> BigInt(112 - 16 * at)) & 0xffffn).toString(16)).join(':')

const hex = (part: number): string => `0x${part.toString(16)}`
const octal = (part: number): string => `0${part.toString(8)}`

/** All the ways in which URLs spell an IPv4 address. */
const spellings = (value: number): string[] => {
  const [a, b, c, d] = dotted(value).split('.').map(Number) as [number, number, number, number]
  const wide = dotted(value).replaceAll(/\d/g, (digit) => String.fromCodePoint(0xff10 + Number(digit)))
  return [
    dotted(value),
    `${dotted(value)}.`,
    String(value),
    hex(value),
    octal(value),
    [a, b, c, d].map(hex).join('.'),
    [a, b, c, d].map(octal).join('.'),
    `${a}.${b}.${c * 256 + d}`,
    `${a}.${b * 65_536 + c * 256 + d}`,
    `${hex(a)}.${octal(b)}.${c}.${d}`,
    wide,
    dotted(value).replaceAll('.', '。'),
    dotted(value).replaceAll(/./g, (char) => `%${char.charCodeAt(0).toString(16)}`),
    `[::ffff:${dotted(value)}]`,
    `[::ffff:${groups(BigInt(value)).split(':').slice(6).join(':')}]`,
    `[::${dotted(value)}]`,
    `[64:ff9b::${dotted(value)}]`,
    `[64:ff9b:1::${dotted(value)}]`,
    `[2002:${groups(BigInt(value)).split(':').slice(6).join(':')}::1]`,
    `[2001:0:4136:e378:8000:63bf:${groups(BigInt(value) ^ 0xffffffffn)
      .split(':')
      .slice(6)
      .join(':')}]`,
  ]
}

describe('an address', () => {
  test('IPv4 is public exactly where no registry says otherwise', () => {
    fc.assert(
      fc.property(anyV4, (value) => {
        expect(whyNotPublic(parseAddress(dotted(value))!) === undefined).toBe(!isSpecialV4(value))
      }),
      { numRuns: runs(3000) },
    )
  })

  test('IPv6 within a special range is never public, in the spelling of any resolver', () => {
    fc.assert(
      fc.property(inSpecialV6, (value) => {
        expect(whyNotPublic(parseAddress(groups(value))!)).toBeString()
      }),
      { numRuns: runs(3000) },
    )
  })

  test.each(['2606:4700:4700::1111', '2001:4860:4860::8888', '2a00:1450:4001::1', '64:ff9b::8.8.8.8', '8.8.8.8', '1.1.1.1'])(
    '%s is public',
    (text) => {
      expect(whyNotPublic(parseAddress(text)!)).toBeUndefined()
    },
  )

  test.each([
    'fe80::1%eth0',
    '64:ff9b::10.0.0.1',
    '64:ff9b::169.254.169.254',
    'fd00:ec2::254',
    '169.254.169.254',
    '100.100.100.200',
    '168.63.129.16',
  ])('%s is not', (text) => {
    expect(whyNotPublic(parseAddress(text)!)).toBeString()
  })
})

describe('a URL of a caller', () => {
  test('[EGR-1] whose host is such an address is refused in every spelling, without asking a resolver', async () => {
    const { egress, lookups } = callerEgress()
    await fc.assert(
      fc.asyncProperty(
        anyV4.filter((value) => isSpecialV4(value)),
        fc.nat({ max: 100 }),
        async (value, pick) => {
          const all = spellings(value)
          const host = all[pick % all.length]!
          const error = await refusalOf(egress.request(callerUrl(`http://${host}:8080/x`), get()))
          expect([error.status, error.code, error.denial?.by]).toEqual([400, 'url_not_allowed', 'egress'])
        },
      ),
      { numRuns: runs(1500) },
    )
    expect(lookups).toEqual([])
  })

  test('[EGR-1] whose host is a special IPv6 address is refused', async () => {
    const { egress, lookups } = callerEgress()
    await fc.assert(
      fc.asyncProperty(inSpecialV6, async (value) => {
        expect(await refusalOf(egress.request(callerUrl(`https://[${groups(value)}]/`), get()))).toMatchObject({ code: 'url_not_allowed' })
      }),
      { numRuns: runs(500) },
    )
    expect(lookups).toEqual([])
  })

  test('[EGR-1] whose name resolves to such an address, alone or among others, is refused', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom<string>('8.8.8.8', '2606:4700::1', '1.1.1.1'), { maxLength: 3 }),
        fc.oneof(
          anyV4.filter((value) => isSpecialV4(value)).map(dotted),
          inSpecialV6.map(groups),
          fc.constantFrom<string>('fe80::1%eth0', 'localhost', '', '127.1', '0x7f.0.0.1', '010.0.0.1'),
        ),
        fc.nat({ max: 3 }),
        async (good, bad, at) => {
          const addresses = good.toSpliced(at, 0, bad)
          const { egress } = callerEgress({ names: { 'rebind.example': addresses } })
          const error = await refusalOf(egress.request(callerUrl('http://rebind.example/'), get()))
          expect(error.code).toBe('url_not_allowed')
        },
      ),
      { numRuns: runs(500) },
    )
  })

  test('[EGR-1] that leads to an address of this very machine is refused, though it is public', async () => {
    const { egress } = callerEgress({ ownAddresses: () => ['8.8.4.4', '2606:4700::5'], names: { 'me.example': ['2606:4700:0::5'] } })
    for (const url of ['http://8.8.4.4/', 'http://me.example/']) {
      expect((await refusalOf(egress.request(callerUrl(url), get()))).denial?.reason).toContain('this machine')
    }
  })

  test.each([
    'ftp://example.com/',
    'file:///etc/passwd',
    'gopher://example.com/',
    'javascript:alert(1)',
    'unix:///var/run/docker.sock',
    'http://',
    'http:///',
    'invalid',
    '//example.com',
    'http://[fe80::1%25eth0]/',
    'http://127.0.0.1%00.example.com/',
    'http://a b/',
  ])('%s is not an acceptable URL', (text) => {
    expect(() => callerUrl(text)).toThrow("The field 'url' must be an http:// or https:// URL.")
  })

  test.each([
    'http://user@example.com/',
    'http://:secret@example.com/',
    'http://user:secret@example.com/',
    'https://example.com%40@evil.example/',
  ])('%s carries credentials and is refused', (text) => {
    expect(() => callerUrl(text)).toThrow('must not carry a user name or password')
  })

  test.each([0, 22, 25, 53, 143, 6000, 6667])('port %i belongs to another protocol', async (port) => {
    const { egress, lookups } = callerEgress({ names: { 'host.example': ['8.8.8.8'] } })
    expect(await refusalOf(egress.request(callerUrl(`http://host.example:${port}/`), get()))).toMatchObject({ code: 'url_not_allowed' })
    expect(lookups).toEqual([])
  })

  test('is no text: joined to one it leads nowhere, and it does not print itself', () => {
    const url = callerUrl('https://example.com/secret')
    expect(URL.canParse(String(url) + '/path')).toBe(false)
    expect(JSON.stringify({ url })).not.toContain('example')
    expect(Bun.inspect(url)).not.toContain('secret')
  })

  test('keeps its host whatever is put below it', () => {
    fc.assert(
      fc.property(fc.webUrl({ withQueryParameters: true, withFragments: true }), fc.webPath(), (base, path) => {
        const url = callerUrl(base)
        const below = url.at(`/v1${path}?a=b`).url
        expect(below.host).toBe(new URL(base).host)
        expect(below.hash).toBe('')
        expect(below.pathname).toEndWith(new URL(`http://x/v1${path}`).pathname)
        expect(below.search).toEndWith('a=b')
      }),
    )
  })
})
