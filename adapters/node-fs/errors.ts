/** Turns errors of the file system into `TidemarkError`s, which say what the caller can do next. */
import { TidemarkError, isTidemarkError } from '../../src/errors.js'

/** The code of a call that Node's permission model refuses. */
export const NOT_PERMITTED = 'ERR_ACCESS_DENIED'

/** The code of an error of the file system, such as `ENOENT`; `undefined` for any other error. */
export function errno(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code
  return typeof code === 'string' && !isTidemarkError(error) ? code : undefined
}

export function isAbsent(error: unknown): boolean {
  return errno(error) === 'ENOENT'
}

export function isTaken(error: unknown): boolean {
  return errno(error) === 'EEXIST'
}

/** The error for a call. `doing` ends the sentence "Could not …". A `TidemarkError` stays as it is. */
export function fileError(error: unknown, doing: string, path: string): TidemarkError {
  if (isTidemarkError(error)) return error
  const code = errno(error)
  const what = `Could not ${doing} ${path} (${code ?? String(error)})`
  switch (code) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return new TidemarkError('QUOTA', `${what}: no space is left for it. Free some space and try again.`, {
        cause: error,
      })
    case 'EROFS':
      return unavailable(`${what}: the file system is mounted read-only. Mount it for writing, or open as a follower.`)
    case NOT_PERMITTED: {
      const { permission = '' } = error as { permission?: string }
      const flag = permission === 'FileSystemRead' ? '--allow-fs-read' : '--allow-fs-write'
      return unavailable(
        `${what}: Node's permission model refuses it (${permission}), and will whenever it is tried. Start Node with ${flag} for this folder, or without --permission.`,
      )
    }
    case 'EACCES':
    case 'EPERM':
      return unavailable(
        `${what}: this process lacks the permission. Give its user read and write access to the folder.`,
      )
    case 'EMFILE':
    case 'ENFILE':
      return unavailable(`${what}: too many files are open. Close some, or raise the limit (ulimit -n).`, true)
    case 'ENOTDIR':
      return new TidemarkError('INVALID_ARGUMENT', `${what}: a part of that path is a file, not a folder.`, {
        cause: error,
      })
    case 'EISDIR':
      return new TidemarkError('INVALID_ARGUMENT', `${what}: there is a folder of that name.`, { cause: error })
    case 'ENAMETOOLONG':
      return new TidemarkError('INVALID_ARGUMENT', `${what}: the name is too long for this file system.`, {
        cause: error,
      })
    case 'ELOOP':
      return new TidemarkError('STORAGE_UNSAFE', `${what}: it is a symbolic link, which is not followed here.`, {
        cause: error,
      })
    default:
      return unavailable(`${what}. Try again; if it stays, look at the disk and the system's log.`, true)
  }

  function unavailable(message: string, retryable = false): TidemarkError {
    return new TidemarkError('STORAGE_UNAVAILABLE', message, { cause: error, retryable })
  }
}

/** The error for a `link`. Without links, which some file systems lack, there is neither create-once nor swap. */
export function linkError(error: unknown, path: string): TidemarkError {
  const code = errno(error)
  if (code === 'EPERM' || code === 'ENOTSUP' || code === 'EOPNOTSUPP' || code === 'ENOSYS') {
    const message = `The file system of ${path} has no hard links (${code}), which creating a name only once needs here.`
    return new TidemarkError('STORAGE_UNSAFE', `${message} Use a folder on a local file system that has them.`, {
      cause: error,
    })
  }
  return fileError(error, 'name', path)
}

/** Whether the call was refused, and so surely changed nothing. Any other error may come after the change. */
export function isRefusal(error: unknown): boolean {
  const code = errno(error) ?? errno((error as { cause?: unknown } | undefined)?.cause)
  return code !== undefined && REFUSALS.has(code)
}

const REFUSALS = new Set(
  'ERR_ACCESS_DENIED ENOSPC EDQUOT EROFS EACCES EPERM EMFILE ENFILE ENOENT EEXIST ENOTDIR EISDIR ENOTSUP EOPNOTSUPP ENOSYS EXDEV'.split(
    ' ',
  ),
)

/** Runs `act`, and turns errors of the file system into `TidemarkError`s. */
export async function guarded<T>(doing: string, path: string, act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (error) {
    throw fileError(error, doing, path)
  }
}
