# Cross-compiles for aarch64 with Debian's and Ubuntu's g++-aarch64-linux-gnu, and runs what is built under qemu-user,
# so that NEON is tested without a board:
#
#   cmake -S cpp_ext -B build/aarch64 -DCMAKE_TOOLCHAIN_FILE=cmake/aarch64.cmake -DEDGEVISION_PYTHON=OFF \
#         -DEDGEVISION_NATIVE_TESTS=ON
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)

# Where the cross compiler's packages put the C and C++ libraries of the other architecture.
set(aarch64_root /usr/aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH ${aarch64_root})
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_INCLUDE ONLY)
set(CMAKE_FIND_ROOT_PATH_MODE_PACKAGE ONLY)

# qemu-user has the first name, qemu-user-static the second; ctest runs the tests through it.
find_program(QEMU_AARCH64 NAMES qemu-aarch64 qemu-aarch64-static)
if(NOT QEMU_AARCH64)
  message(FATAL_ERROR "qemu-aarch64 is missing: apt-get install qemu-user")
endif()
set(CMAKE_CROSSCOMPILING_EMULATOR ${QEMU_AARCH64} -L ${aarch64_root})
