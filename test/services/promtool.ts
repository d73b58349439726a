import { spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'

/** Fetched once for each `npm ci`. */
const cache = resolve(import.meta.dir, '../../node_modules/.cache/corral')

/** Milliseconds for one program: a network that is away must not hold the tests up. */
const patience = 90_000

/**
 * Prometheus' checker of metrics: the one in the PATH, else the one program out of Debian's package `prometheus`, of which nothing is installed.
 * Undefined if it cannot be installed: the tests that need it are skipped, and `say` has printed why.
 */
export async function findOrFetchPromtool(say: (line: string) => void): Promise<string | undefined> {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== ''), cache]
  const found = folders.map((folder) => join(folder, 'promtool')).find((path) => existsSync(path))
  if (found !== undefined) return found
  if (!existsSync('/usr/bin/apt-get')) {
    say('promtool is missing, and this is no Debian: what it checks is skipped')
    return undefined
  }
  mkdirSync(cache, { recursive: true })
  const folder = mkdtempSync(join(cache, 'fetching-'))
  try {
    await fetchInto(folder)
    renameSync(join(folder, 'promtool'), join(cache, 'promtool'))
    return join(cache, 'promtool')
  } catch (error) {
    say(`promtool cannot be had, and what it checks is skipped: ${error instanceof Error ? error.message : String(error)}`)
    return undefined
  } finally {
    rmSync(folder, { recursive: true })
  }
}

async function fetchInto(folder: string): Promise<void> {
  const options = ['-q', '-o', 'Acquire::Retries=1', '-o', 'Acquire::http::Timeout=20']
  const download = () => run(folder, 'apt-get', 'download', ...options, 'prometheus')
  await download().catch(async (error: unknown) => {
    // The list of packages may be missing, or name a file that the mirror does not have any more.
    if (process.getuid?.() !== 0) throw error
    await run(folder, 'apt-get', 'update', ...options)
    await download()
  })
  const [archive] = readdirSync(folder).filter((name) => name.endsWith('.deb'))
  await run(folder, 'sh', '-c', 'dpkg-deb --fsys-tarfile "$0" | tar -xO ./usr/bin/promtool > promtool', archive ?? '')
  chmodSync(join(folder, 'promtool'), 0o755)
  await run(folder, join(folder, 'promtool'), '--version')
}

function run(cwd: string, command: string, ...args: readonly string[]): Promise<void> {
  const { promise, resolve: ended, reject } = Promise.withResolvers<void>()
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'ignore', 'pipe'], timeout: patience })
  let said = ''
  child.stderr.on('data', (piece: Uint8Array) => (said = (said + new TextDecoder().decode(piece)).slice(-500)))
  child.on('error', reject)
  child.on('close', (code) => (code === 0 ? ended() : reject(new Error(`${command} ${args[0]} failed (${code}): ${said.trim()}`))))
  return promise
}
