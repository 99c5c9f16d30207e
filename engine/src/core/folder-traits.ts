/** What a disk can hold, as data, so that the pure parts are table-tested for every platform on any platform. */
export interface FolderTraits {
  readonly caseSensitive: boolean;
  /** Names that differ only in Unicode normalisation are the same name on disk. */
  readonly foldsUnicode: boolean;
  /** '\\' on Windows: a name holding it cannot be stored. */
  readonly reservedSeparators: readonly string[];
  /** The disk holds modes: the executable bit, and whether others may read. Else the room's are kept (M5, M18). */
  readonly holdsModes: boolean;
  /** The umask makes every new file private: at a join, that one is says nothing. */
  readonly newFilesPrivate: boolean;
  readonly symlinks: boolean;
  /** CON, NUL, trailing dots and spaces, `:` and the like are refused. */
  readonly windowsNames: boolean;
  readonly nameBytesMax: number;
  readonly pathBytesMax: number;
}

export const linuxTraits: FolderTraits = {
  caseSensitive: true,
  foldsUnicode: false,
  reservedSeparators: [],
  holdsModes: true,
  newFilesPrivate: false,
  symlinks: true,
  windowsNames: false,
  nameBytesMax: 255,
  pathBytesMax: 4_096,
};
export const macTraits: FolderTraits = { ...linuxTraits, caseSensitive: false, foldsUnicode: true };
export const windowsTraits: FolderTraits = {
  caseSensitive: false,
  foldsUnicode: false,
  reservedSeparators: ['\\'],
  holdsModes: false,
  newFilesPrivate: false,
  symlinks: false,
  windowsNames: true,
  nameBytesMax: 255,
  pathBytesMax: 32_000,
};
