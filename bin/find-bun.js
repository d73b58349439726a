// Finds the Bun that `npm ci` brought, whether or not install scripts ran: the `bun` package's script moves the program out of the
// platform package (@oven/bun-*) into its own folder; where npm blocks scripts it stays, and `bun/bin` holds a dead stub.
import { statSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const require = createRequire(import.meta.url)
const stubsAreSmallerThan = 1_000_000

/** @returns {string} the path of the Bun program; throws an Error that says what to do when there is none. */
export function findBun() {
  const { platform, arch } = process
  const os = platform === 'win32' ? 'windows' : platform
  const cpu = arch === 'arm64' ? 'aarch64' : arch
  const libc = platform === 'linux' && !process.report.getReport().header.glibcVersionRuntime ? '-musl' : ''
  const program = platform === 'win32' ? 'bun.exe' : 'bun'
  const candidates = [
    [`@oven/bun-${os}-${cpu}${libc}`, program],
    [`@oven/bun-${os}-${cpu}${libc}-baseline`, program],
    ['bun', 'bun.exe'],
  ]
  for (const [name, file] of candidates) {
    const folder = folderOf(name)
    const path = folder && join(folder, 'bin', file)
    if (path && (statSync(path, { throwIfNoEntry: false })?.size ?? 0) > stubsAreSmallerThan) return path
  }
  throw new Error(
    `Corral found no Bun for ${platform}-${arch}. Run \`npm ci\` (with optional dependencies) in the folder that holds Corral's package.json; ` +
      'Linux, macOS and Windows on x64 or arm64 are supported.',
  )
}

function folderOf(name) {
  try {
    return dirname(require.resolve(`${name}/package.json`))
  } catch (error) {
    if (error.code === 'MODULE_NOT_FOUND') return undefined
    throw error
  }
}
