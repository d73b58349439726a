import { createSign, generateKeyPairSync, randomBytes, type KeyObject } from 'node:crypto'

/** A certificate and its private key, as PEM. */
interface Certificate {
  readonly cert: string
  readonly key: string
  readonly name: string
  readonly privateKey: KeyObject
}

interface CertificateOptions {
  /** The subject's common name. */
  name: string
  /** An authority may sign others. */
  authority?: boolean
  /** Default: signs itself. */
  issuer?: Certificate
  /** DNS names the certificate is for; 127.0.0.1 and ::1 are always. Default `localhost`. */
  hosts?: readonly string[]
}

/** Makes an X.509 certificate (EC P-256, valid for a day) with nothing but node:crypto, so that tests need no `openssl` and no fixtures. */
export function makeCertificate(options: CertificateOptions): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { issuer } = options
  const now = Date.now()
  const body = sequence(
    tagged(0, integer(Buffer.from([2]))),
    integer(Buffer.concat([Buffer.from([1]), randomBytes(15)])),
    ecdsaWithSha256,
    distinguishedName(issuer?.name ?? options.name),
    sequence(utcTime(now - 3_600_000), utcTime(now + 86_400_000)),
    distinguishedName(options.name),
    publicKey.export({ type: 'spki', format: 'der' }),
    tagged(3, sequence(...extensions(options))),
  )
  const signature = createSign('sha256')
    .update(body)
    .sign(issuer?.privateKey ?? privateKey)
  const whole = sequence(body, ecdsaWithSha256, bits(signature))
  const lines = whole.toString('base64').match(/.{1,64}/g) ?? []
  return {
    cert: `-----BEGIN CERTIFICATE-----\n${lines.join('\n')}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
    name: options.name,
    privateKey,
  }
}

function extensions({ authority = false, hosts = ['localhost'] }: CertificateOptions): Buffer[] {
  const names = hosts.map((host) => der(0x82, Buffer.from(host)))
  const addresses = [Buffer.from([127, 0, 0, 1]), Buffer.concat([Buffer.alloc(15), Buffer.from([1])])].map((bytes) => der(0x87, bytes))
  return [
    // basicConstraints, critical
    sequence(objectId(0x55, 0x1d, 0x13), truth, octets(sequence(...(authority ? [truth] : [])))),
    // subjectAltName
    sequence(objectId(0x55, 0x1d, 0x11), octets(sequence(...names, ...addresses))),
  ]
}

const ecdsaWithSha256 = sequence(objectId(0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02))
const truth = der(0x01, Buffer.from([0xff]))

function distinguishedName(name: string): Buffer {
  return sequence(der(0x31, sequence(objectId(0x55, 0x04, 0x03), der(0x0c, Buffer.from(name)))))
}

function der(tag: number, content: Uint8Array): Buffer {
  const { length } = content
  const head = length < 128 ? [tag, length] : length < 256 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from(head), content])
}

function sequence(...parts: Uint8Array[]): Buffer {
  return der(0x30, Buffer.concat(parts))
}

function tagged(number: number, content: Uint8Array): Buffer {
  return der(0xa0 + number, content)
}

function integer(bytes: Uint8Array): Buffer {
  return der(0x02, bytes)
}

function objectId(...bytes: number[]): Buffer {
  return der(0x06, Buffer.from(bytes))
}

function octets(content: Uint8Array): Buffer {
  return der(0x04, content)
}

function bits(content: Uint8Array): Buffer {
  return der(0x03, Buffer.concat([Buffer.alloc(1), content]))
}

function utcTime(milliseconds: number): Buffer {
  const text = new Date(milliseconds).toISOString().replaceAll(/[-:T]/g, '').slice(2, 14)
  return der(0x17, Buffer.from(`${text}Z`))
}
