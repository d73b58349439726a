import { constants } from 'node:fs'
import { access, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Config } from '../../config/config.ts'
import { formatBytes } from '../progress.ts'
import { type DoctorCheck, failed, type DoctorFinding, ok, warning } from './check.ts'

interface DataFolder {
  readonly subject: string
  readonly folder: string
}

const mebibyte = 1_048_576
const minFreeSpace = 100 * mebibyte
const lowFreeSpace = 1024 * mebibyte

/** Whether what Corral keeps can be written, and whether there is room for it. */
export const disk: DoctorCheck = {
  name: 'disk',
  find: ({ loaded: { config } }) => Promise.all(dataFoldersOf(config).map(checkFreeSpace)),
}

function dataFoldersOf({ home, storage, audit, telemetry }: Config): DataFolder[] {
  const { records } = storage
  const places = [
    { subject: "Corral's home", folder: home },
    ...(records.engine === 'sqlite' && records.path !== ':memory:'
      ? [{ subject: 'folder of the database', folder: dirname(records.path) }]
      : []),
    ...(telemetry?.store ? [{ subject: 'folder of the trace store', folder: dirname(telemetry.store.path) }] : []),
    ...(audit ? [{ subject: 'folder of the audit log', folder: audit.folder }] : []),
  ]
  return places.filter(({ folder }, at) => places.findIndex((other) => other.folder === folder) === at)
}

async function checkFreeSpace({ subject, folder }: DataFolder): Promise<DoctorFinding> {
  const existing = await nearestExisting(folder)
  try {
    await access(existing, constants.W_OK | constants.X_OK)
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? String(error)
    return failed(
      subject,
      `${existing} is not writable (${why})`,
      'Run Corral as its owner, or set another folder (CORRAL_HOME, or the path in the configuration).',
    )
  }
  const { bavail, bsize } = await statfs(existing)
  return freeSpaceFinding({ subject, folder }, bavail * bsize)
}

export function freeSpaceFinding({ subject, folder }: DataFolder, free: number): DoctorFinding {
  const message = `${folder}: ${formatBytes(free)} free`
  const remedy = 'Free space on this disk, or use a folder on another.'
  if (free < minFreeSpace) return failed(subject, message, remedy)
  return free < lowFreeSpace ? warning(subject, message, remedy) : ok(subject, message)
}

/** The folder, or the nearest above it that is there. */
async function nearestExisting(folder: string): Promise<string> {
  const parent = dirname(folder)
  return (await infoOf(folder)) || parent === folder ? folder : nearestExisting(parent)
}

/** Whether other users of this machine can read what is Corral's alone. */
export const modes: DoctorCheck = {
  name: 'file modes',
  async find({ loaded: { config } }) {
    if (process.platform === 'win32') return []
    const { home, storage, telemetry, audit, keyPepper, logging } = config
    const files = [
      ...(keyPepper ? [] : [join(home, 'key-pepper')]),
      ...(storage.records.engine === 'sqlite' ? [storage.records.path] : []),
      ...(telemetry?.store ? [telemetry.store.path] : []),
      ...(logging.file === undefined ? [] : [logging.file]),
    ]
    const findings = await Promise.all([
      ...files.map((path) => checkMode(path, 'file')),
      ...(audit ? [checkMode(audit.folder, 'folder')] : []),
    ])
    const found = findings.filter((finding) => finding !== undefined)
    return found.length > 0 ? found : [ok('file modes', 'files of Corral are not readable by other users')]
  },
}

async function checkMode(path: string, expected: 'file' | 'folder'): Promise<DoctorFinding | undefined> {
  const info = await infoOf(path)
  if (!info || (info.mode & 0o077) === 0) return undefined
  // A folder, a device or a pipe in place of a file may be in use by others.
  if (!(expected === 'folder' ? info.isDirectory() : info.isFile())) return undefined
  const mode = (info.mode & 0o777).toString(8).padStart(4, '0')
  return warning('file modes', `${path} is accessible to other users (${mode})`, `chmod ${expected === 'folder' ? '700' : '600'} ${path}`)
}

async function infoOf(path: string) {
  return await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return undefined
    if (error.code === 'EACCES') return undefined
    throw error
  })
}
