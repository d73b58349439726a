import { accessSync, constants } from 'node:fs'
import { resolve } from 'node:path'
import type { TlsConfig } from './config.ts'
import type { Report } from './report.ts'
import type { ServerSection } from './schema-server.ts'
import { expandHome } from './substitute.ts'
import { child, isEmpty, type MapNode, nodeAt, shown } from './tree.ts'

interface TlsContext {
  readonly report: Report
  readonly cwd: string
  readonly home: string
}

/** Reads `tls_*` and `hsts_max_age` of `server:`. Undefined: plain HTTP, or after reporting errors. */
export function readTls(section: MapNode, values: ServerSection, context: TlsContext): TlsConfig | undefined {
  const { report, cwd, home } = context
  const { tls_certfile: cert, tls_keyfile: key, tls_cafile: ca } = values
  const place = child(section, cert ? 'tls_certfile' : key ? 'tls_keyfile' : 'tls_cafile') ?? section
  const ciphers = readCiphers(section, values, report)
  warnOfEmptied(section, report)
  if (!cert && !key && !ca) {
    warnWithoutTls(section, values, report)
    return undefined
  }
  if (!cert || !key) {
    const missing = [!cert && 'server.tls_certfile', !key && 'server.tls_keyfile'].filter(Boolean).join(' and ')
    report.error(place, `HTTPS needs a certificate and its key: ${missing} is missing, and a half of the pair would mean plain HTTP`)
    return undefined
  }
  const absolute = (name: string, path: string) => {
    const full = resolve(cwd, expandHome(path, home))
    const node = child(section, name) ?? section
    try {
      accessSync(full, constants.R_OK)
    } catch (error) {
      report.error(node, `the file ${shown(node)} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown cause'})`)
    }
    return full
  }
  return {
    cert: absolute('tls_certfile', cert),
    key: absolute('tls_keyfile', key),
    ...(ca && { clientCa: absolute('tls_cafile', ca) }),
    ...(ciphers && { ciphers }),
  }
}

const without: Readonly<Record<string, string>> = {
  tls_certfile: 'HTTPS is switched off',
  tls_keyfile: 'HTTPS is switched off',
  tls_cafile: 'clients need no certificate',
}

/** A variable that is missing would otherwise switch TLS off without notice. */
function warnOfEmptied(section: MapNode, report: Report): void {
  for (const [key, effect] of Object.entries(without)) {
    const node = child(section, key)
    if (node?.kind === 'scalar' && node.expanded && isEmpty(node) && !node.failed) report.warn('notice', node, `is empty: ${effect}`)
  }
}

/** The suites of TLS 1.2 that the runtime has, all with forward secrecy and authenticated encryption. */
const servedSuites = ['ECDSA', 'RSA'].flatMap((signature) =>
  ['AES128-GCM-SHA256', 'AES256-GCM-SHA384', 'CHACHA20-POLY1305'].map((cipher) => `ECDHE-${signature}-${cipher}`),
)
/** Suites that OGX takes as well and that have no effect here: those of TLS 1.3 are always offered, those with DHE never. */
const inactiveSuites = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'DHE-RSA-AES128-GCM-SHA256',
  'DHE-RSA-AES256-GCM-SHA384',
]

function readCiphers(section: MapNode, { tls_config: config }: ServerSection, report: Report): readonly string[] | undefined {
  const { ciphers } = config ?? {}
  if (!ciphers) return undefined
  const list = nodeAt(section, ['tls_config', 'ciphers']) ?? section
  for (const [at, name] of ciphers.entries()) {
    const node = nodeAt(section, ['tls_config', 'ciphers', at]) ?? list
    if (inactiveSuites.includes(name)) {
      const why = name.startsWith('TLS_') ? 'every suite of TLS 1.3 is always offered' : 'suites with DHE are never offered'
      report.warn('notice', node, `has no effect: ${why}`)
    } else if (!servedSuites.includes(name)) {
      report.error(node, `is not a supported TLS 1.2 cipher suite: use some of ${servedSuites.join(', ')}`)
    }
  }
  const served = ciphers.filter((name) => servedSuites.includes(name))
  if (served.length === 0) report.error(list, `names no cipher suite of TLS 1.2: name some of ${servedSuites.join(', ')}`)
  return served
}

function warnWithoutTls(section: MapNode, { tls_config: config, hsts_max_age: maxAge }: ServerSection, report: Report): void {
  const ciphers = config?.ciphers && child(section, 'tls_config')
  const hsts = maxAge ? child(section, 'hsts_max_age') : undefined
  for (const node of [ciphers, hsts]) {
    if (node) report.warn('notice', node, 'has no effect without tls_certfile and tls_keyfile: this server speaks plain HTTP')
  }
}
