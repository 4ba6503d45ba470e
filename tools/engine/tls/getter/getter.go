// Package getter stands in for HashiCorp's, a fifth of the whole build: the bridge can generate an SDK
// from Terraform modules, which it would download with it. A plug-in that serves does not.
package getter

import "errors"

var errUnused = errors.New("this plug-in downloads no Terraform modules")

// FolderStorage would keep downloaded modules.
type FolderStorage struct{ StorageDir string }

func (*FolderStorage) Dir(string) (string, bool, error) { return "", false, errUnused }
func (*FolderStorage) Get(string, string, bool) error   { return errUnused }

// Detectors would recognize a module's source.
var Detectors []struct{}

func Detect(string, string, []struct{}) (string, error) { return "", errUnused }
func Get(string, string) error                          { return errUnused }
func SourceDirSubdir(source string) (string, string)    { return source, "" }
func SubdirGlob(string, string) (string, error)         { return "", errUnused }
