/* media/worker_confine.c: a seccomp filter for workers, see media/worker_confine.h.
 *
 * RLIMIT_NPROC would be the plain way to forbid processes, but it counts threads as well, and libvips makes one for
 * some pictures ("Error creating thread" when tried as an ordinary user). The filter is a list of what is denied rather
 * than of what is allowed: the libraries underneath differ between systems, and a worker that fails on a harmless call
 * it was not foreseen to make would be worse. The program is classic BPF over struct seccomp_data (linux/seccomp.h),
 * built at run time from the tables below. */
#include "media/worker_confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__x86_64__)
#define FILTER_ARCHITECTURE AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define FILTER_ARCHITECTURE AUDIT_ARCH_AARCH64
#endif

#ifdef FILTER_ARCHITECTURE

/* Calls that are refused whatever their arguments. Those that newer kernels or one architecture only have stand in
 * #ifdef. */
static const int refused[] = {
    SYS_execve,
    SYS_execveat,
    SYS_socket,
    SYS_ptrace,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_tkill,
    SYS_rt_sigqueueinfo,
    SYS_rt_tgsigqueueinfo,
    SYS_unlinkat,
    SYS_renameat,
    SYS_renameat2,
    SYS_mkdirat,
    SYS_mknodat,
    SYS_symlinkat,
    SYS_linkat,
    SYS_fchmod,
    SYS_fchmodat,
    SYS_fchown,
    SYS_fchownat,
    SYS_truncate,
    SYS_utimensat,
    SYS_setxattr,
    SYS_lsetxattr,
    SYS_fsetxattr,
    SYS_removexattr,
    SYS_lremovexattr,
    SYS_fremovexattr,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_unshare,
    SYS_setns,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_keyctl,
    SYS_add_key,
    SYS_request_key,
    SYS_shmget,
    SYS_msgget,
    SYS_semget,
#ifdef SYS_fork /* the older calls, which newer architectures do without */
    SYS_fork,
    SYS_vfork,
    SYS_creat,
    SYS_unlink,
    SYS_rename,
    SYS_rmdir,
    SYS_mkdir,
    SYS_mknod,
    SYS_symlink,
    SYS_link,
    SYS_chmod,
    SYS_chown,
    SYS_lchown,
    SYS_utime,
    SYS_utimes,
    SYS_futimesat,
#endif
#ifdef SYS_io_uring_setup /* would open files and sockets past this filter */
    SYS_io_uring_setup,
#endif
#ifdef SYS_pidfd_open
    SYS_pidfd_open,
    SYS_pidfd_send_signal,
#endif
};

/* Calls that depend on one argument. */
typedef struct condition {
  int call, argument;
  enum { ONLY_WITH, ONLY_WITHOUT, ONLY_EQUAL } rule; /* of the value's bits */
  uint32_t value;                                    /* ONLY_EQUAL with 0: the number of this process */
} condition;

static const condition conditions[] = {
    {SYS_clone, 0, ONLY_WITH, CLONE_THREAD},
    {SYS_openat, 2, ONLY_WITHOUT, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC},
#ifdef SYS_open
    {SYS_open, 1, ONLY_WITHOUT, O_WRONLY | O_RDWR | O_CREAT | O_TRUNC},
#endif
    {SYS_kill, 0, ONLY_EQUAL, 0}, /* abort() signals itself */
    {SYS_tgkill, 0, ONLY_EQUAL, 0},
};

/* The C library tries these first and falls back on the older ones above when told that the kernel has none. */
static const int unknown[] = {
#ifdef SYS_clone3
    SYS_clone3,
#endif
#ifdef SYS_openat2
    SYS_openat2,
#endif
};

#define LENGTH(table) (sizeof(table) / sizeof *(table))
#define PROGRAM_MAX (16 + 2 * (LENGTH(refused) + LENGTH(unknown)) + 5 * LENGTH(conditions))

typedef struct program {
  struct sock_filter steps[PROGRAM_MAX];
  unsigned short count;
} program;

static void load(program *p, size_t offset) {
  p->steps[p->count++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset);
}

/* Goes on with the next step when the test holds (or does not, for unless), else past it and the `skip - 1` after it.
 */
static void step_if(program *p, unsigned short test, uint32_t value, uint8_t skip) {
  p->steps[p->count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | test | BPF_K, value, 0, skip);
}

static void step_unless(program *p, unsigned short test, uint32_t value, uint8_t skip) {
  p->steps[p->count++] = (struct sock_filter)BPF_JUMP(BPF_JMP | test | BPF_K, value, skip, 0);
}

static void step_return(program *p, uint32_t verdict) {
  p->steps[p->count++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, verdict);
}

static void call_answer(program *p, int call, int error_number) {
  step_if(p, BPF_JEQ, (uint32_t)call, 1);
  step_return(p, SECCOMP_RET_ERRNO | (uint32_t)error_number);
}

/* The accumulator holds the call's number before and, when this is another call, after. */
static void condition_add(program *p, const condition *c) {
  step_if(p, BPF_JEQ, (uint32_t)c->call, 4);
  /* Both architectures are little-endian: the low half comes first, and holds all of these. */
  load(p, offsetof(struct seccomp_data, args) + sizeof(uint64_t) * (size_t)c->argument);
  if (c->rule == ONLY_EQUAL)
    step_unless(p, BPF_JEQ, c->value ? c->value : (uint32_t)getpid(), 1);
  else if (c->rule == ONLY_WITH)
    step_unless(p, BPF_JSET, c->value, 1);
  else
    step_if(p, BPF_JSET, c->value, 1);
  step_return(p, SECCOMP_RET_ERRNO | EPERM);
  step_return(p, SECCOMP_RET_ALLOW);
}

bool worker_confine(void) {
  program p = {.count = 0};
  load(&p, offsetof(struct seccomp_data, arch));
  step_unless(&p, BPF_JEQ, FILTER_ARCHITECTURE, 1);
  step_return(&p, SECCOMP_RET_ERRNO | EPERM);
  load(&p, offsetof(struct seccomp_data, nr));
#ifdef __x86_64__ /* the x32 interface has the same calls under numbers from here on */
  step_if(&p, BPF_JGE, 0x40000000, 1);
  step_return(&p, SECCOMP_RET_ERRNO | EPERM);
#endif
  for (size_t i = 0; i < LENGTH(refused); i++) call_answer(&p, refused[i], EPERM);
  for (size_t i = 0; i < LENGTH(unknown); i++) call_answer(&p, unknown[i], ENOSYS);
  for (size_t i = 0; i < LENGTH(conditions); i++) condition_add(&p, &conditions[i]);
  step_return(&p, SECCOMP_RET_ALLOW);
  struct sock_fprog filter = {.len = p.count, .filter = p.steps};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return false;
  /* For threads that a library's constructor may have started as well. */
  return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &filter) == 0;
}

#else

bool worker_confine(void) { return false; }

#endif
