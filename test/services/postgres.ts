import { spawnSync } from 'node:child_process'
import { chownSync, mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'pg'
import { makeCertificate } from '../../src/testing/certificates.ts'
import { freePort, type Owner, type Service, startService, untilReady } from './service.ts'

interface PostgresService extends AsyncDisposable {
  /** `postgres://corral:…@127.0.0.1:port/corral`. */
  readonly url: string
  /** PEM file: the authority of the server's certificate. */
  readonly ca: string
}

/** Starts a PostgreSQL of its own in a temporary folder, with a password and TLS. */
export async function startPostgres(programs: string): Promise<PostgresService> {
  const owner = process.getuid?.() === 0 ? ownerNamed('postgres') : undefined
  const folder = mkdtempSync(join(tmpdir(), 'corral-postgres-'))
  const password = crypto.randomUUID()
  const authority = makeCertificate({ name: 'tests', authority: true })
  const server = makeCertificate({ name: '127.0.0.1', issuer: authority })
  const files = { password, 'server.pem': server.cert, 'server.key': server.key, 'ca.pem': authority.cert }
  for (const [name, text] of Object.entries(files)) {
    writeFileSync(join(folder, name), text, { mode: 0o600 })
    if (owner) chownSync(join(folder, name), owner.uid, owner.gid)
  }
  if (owner) chownSync(folder, owner.uid, owner.gid)
  const data = join(folder, 'data')
  const init = ['-D', data, '-U', 'corral', '-A', 'scram-sha-256', `--pwfile=${join(folder, 'password')}`, '-E', 'UTF8', '--no-sync']
  const made = spawnSync(join(programs, 'initdb'), init, { cwd: '/', encoding: 'utf8', ...owner })
  if (made.status !== 0) throw new Error(`initdb failed:\n${made.stdout}${made.stderr}`)

  const port = await freePort()
  const settings = {
    // The second is an address that the certificate is not for.
    listen_addresses: '127.0.0.1,127.0.0.2',
    port,
    unix_socket_directories: folder,
    max_connections: 300,
    ssl: 'on',
    ssl_cert_file: join(folder, 'server.pem'),
    ssl_key_file: join(folder, 'server.key'),
    // What is kept here is not worth a disk's time.
    fsync: 'off',
  }
  const service = startService({
    command: [join(programs, 'postgres'), '-D', data, ...Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`])],
    stop: 'QUIT',
    folder,
    owner,
  })
  await untilReady('PostgreSQL', service, () => makeDatabase({ port, password }))
  return running(service, { url: `postgres://corral:${password}@127.0.0.1:${port}/corral`, ca: join(folder, 'ca.pem') })
}

async function makeDatabase({ port, password }: { port: number; password: string }): Promise<void> {
  const client = new Client({ host: '127.0.0.1', port, user: 'corral', password, database: 'postgres' })
  client.on('error', () => undefined)
  await client.connect()
  try {
    await client.query('create database corral')
  } finally {
    await client.end()
  }
}

function running(service: Service, about: { url: string; ca: string }): PostgresService {
  return { ...about, [Symbol.asyncDispose]: () => service[Symbol.asyncDispose]() }
}

/** PostgreSQL refuses to run as root. */
function ownerNamed(name: string): Owner {
  const [uid, gid] = ['-u', '-g'].map((flag) => Number(spawnSync('id', [flag, name], { encoding: 'utf8' }).stdout))
  if (!uid || !gid) throw new Error(`there is no user '${name}' on this machine to run PostgreSQL as`)
  return { uid, gid }
}
