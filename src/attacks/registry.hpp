// The attacks' constructors, one per file, used only by registry.cpp.
#pragma once
#include "facepoison/attack.hpp"
#include "facepoison/error.hpp"

namespace facepoison {

std::shared_ptr<Attack> make_chameleon(Spec& spec, AttackSettings settings);
std::shared_ptr<Attack> make_fawkes_v03(Spec& spec, AttackSettings settings);
std::shared_ptr<Attack> make_fawkes_v10(Spec& spec, AttackSettings settings);
std::shared_ptr<Attack> make_files(Spec& spec, AttackSettings settings);
std::shared_ptr<Attack> make_lowkey(Spec& spec, AttackSettings settings);
std::shared_ptr<Attack> make_noise(Spec& spec, AttackSettings settings);
std::shared_ptr<Attack> make_none(Spec& spec, AttackSettings settings);
std::shared_ptr<Attack> make_opom(Spec& spec, AttackSettings settings);
std::shared_ptr<Attack> make_pgd(Spec& spec, AttackSettings settings);
std::shared_ptr<Attack> make_protego_flat(Spec& spec, AttackSettings settings);
std::shared_ptr<Attack> make_retouch_attack(Spec& spec, AttackSettings settings);
std::shared_ptr<Attack> make_tip_im(Spec& spec, AttackSettings settings);

}  // namespace facepoison
