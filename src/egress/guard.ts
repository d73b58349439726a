import { networkInterfaces } from 'node:os'
import type { AbortListenable } from '../call.ts'
import { ApiError, shortened } from '../errors.ts'
import { type IpAddress, parseAddress, whyNotPublic, unmapped } from './address.ts'
import type { HostList } from './allow-list.ts'
import type { CallerUrl } from './caller-url.ts'
import { EgressError } from './egress-error.ts'
import type { Resolve } from './resolve.ts'
import { withTimeout } from '../timing.ts'

interface GuardOptions {
  readonly allow: HostList
  /** Default: nothing. Goes before `allow`. */
  readonly deny?: HostList | undefined
  readonly resolve: Resolve
  /** This machine's own addresses. Default: what its interfaces have now. */
  readonly ownAddresses?: () => readonly string[]
}

interface AdmitOptions {
  readonly signal: AbortListenable
  /** Milliseconds for the resolver. */
  readonly timeout: number
}

/** Decides where URLs of callers may lead. */
export interface Guard {
  /** The addresses to connect to, in the order in which to try them. Throws ApiError 400 where any of them may not be reached; EgressError where the resolver fails. */
  admit(target: CallerUrl, options: AdmitOptions): Promise<readonly IpAddress[]>
  /** The same where a proxy resolves and connects: only listed hosts are allowed. */
  admitByProxy(target: CallerUrl): void
}

/**
 * Ports of protocols that a request must not be mistaken for, as the Fetch standard has them ("port blocking"), so that no request mails or prints
 * through this server.
 */
const blockedPorts = new Set([
  0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104, 109, 110, 111, 113, 115, 117,
  119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636,
  989, 990, 993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
])

/** So many addresses are tried at most. */
const maxAddresses = 4

export function createGuard({ allow, deny, resolve, ownAddresses = addressesOfInterfaces }: GuardOptions): Guard {
  const check = (address: IpAddress, port: number): string | undefined => {
    if (allow.hasAddress(address, port)) return undefined
    const why = whyNotPublic(address)
    if (why !== undefined) return why
    const plain = address.toString()
    return ownAddresses().some((own) => parseAddress(own)?.toString() === plain) ? 'this machine' : undefined
  }

  return {
    async admit(target, options) {
      const hostPort = hostAndPortOf(target.url)
      refuseBlockedPort(target, hostPort)
      refuseDenied(target, hostPort, deny)
      const { host, port } = hostPort
      const literal = parseAddress(host)
      const listed = allow.hasHost(host, port)
      const addresses = literal ? [literal] : await addressesOf(target, { hostPort, resolve, options })
      for (const address of addresses) {
        const why = deny?.hasAddress(address, port) ? denied : listed ? undefined : check(address, port)
        // One disallowed address rejects the name: mixed addresses are an attack.
        if (why !== undefined) throw refusal(target, hostPort, literal ? why : `resolves to ${address.toString()}, ${why}`)
      }
      return addresses.slice(0, maxAddresses).map(unmapped)
    },
    admitByProxy(target) {
      const hostPort = hostAndPortOf(target.url)
      refuseBlockedPort(target, hostPort)
      refuseDenied(target, hostPort, deny)
      if (isListed(allow, hostPort)) return
      throw refusal(target, hostPort, 'not on the allow list, and a proxy would resolve it')
    },
  }
}

interface HostAndPort {
  /** Without brackets or a dot at its end. */
  readonly host: string
  readonly port: number
}

export function hostAndPortOf({ hostname, port, protocol }: URL): HostAndPort {
  return {
    host: hostname.replace(/^\[|\]$/g, '').replace(/\.$/, ''),
    port: port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
  }
}

const denied = 'on the deny list'

function refuseDenied(target: CallerUrl, hostPort: HostAndPort, deny: HostList | undefined): void {
  if (deny && isListed(deny, hostPort)) throw refusal(target, hostPort, denied)
}

/** Whether a list has a host as it is written. Nothing is resolved. */
export function isListed(list: HostList, { host, port }: HostAndPort): boolean {
  const literal = parseAddress(host)
  return list.hasHost(host, port) || (literal !== undefined && list.hasAddress(literal, port))
}

function refuseBlockedPort(target: CallerUrl, hostPort: HostAndPort): void {
  if (blockedPorts.has(hostPort.port)) throw refusal(target, hostPort, 'a port that the Fetch standard blocks')
}

async function addressesOf(
  target: CallerUrl,
  { hostPort, resolve, options }: { hostPort: HostAndPort; resolve: Resolve; options: AdmitOptions },
): Promise<readonly IpAddress[]> {
  const { signal, timeout } = options
  const tooSlow = (): Error => new EgressError('timeout', `the host name was not resolved within ${timeout / 1000} s`)
  const found = await withTimeout(timeout, resolve(hostPort.host), tooSlow, { signal }).catch((error: unknown) => {
    if (isUnknown(error)) throw refusal(target, hostPort, 'no such host', error)
    throw error instanceof EgressError || signal.aborted
      ? error
      : new EgressError('unreachable', 'the host name could not be resolved', new Error(`${codeOf(error)} (${hostPort.host})`))
  })
  // An address that cannot be read cannot be judged.
  const addresses = found.map(
    (text) => parseAddress(text) ?? refuse(target, hostPort, `resolves to '${shortened(text)}', which is not an IP address`),
  )
  return addresses.length > 0 ? addresses : refuse(target, hostPort, 'no such host')
}

/** An unknown name gets the same message as a disallowed one: a different message would reveal which names exist. */
function isUnknown(error: unknown): boolean {
  return ['ENOTFOUND', 'ENODATA', 'EAI_NODATA', 'EAI_NONAME'].includes(codeOf(error))
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : 'unknown'
}

function refuse(target: CallerUrl, hostPort: HostAndPort, why: string): never {
  throw refusal(target, hostPort, why)
}

/** One text for all refusals: it must not reveal the internal network. The log and the audit log get the reason. */
function refusal({ source }: CallerUrl, { host, port }: HostAndPort, why: string, cause?: unknown): ApiError {
  return new ApiError(
    'invalid_request_error',
    `Requests to the host of ${source} are not allowed: the host is unknown or not on the public internet. ` +
      'The operator can allow it in server.egress.allow.',
    {
      code: 'url_not_allowed',
      denial: { by: 'egress', reason: `${shortened(host)}: ${why}`, action: 'connect', resource: `host::${shortened(host)}:${port}` },
      cause,
    },
  )
}

function addressesOfInterfaces(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((addresses = []) => addresses.map(({ address }) => address))
}
